// What every page needs: problems are told in words, in the one place for them, until the next
// request goes well.
"use strict";
(() => {
  const place = () => document.getElementById("problem");
  document.addEventListener("htmx:after:request", (event) => {
    const { response } = event.detail.ctx;
    if (response && response.status < 400) place().replaceChildren();
  });
  document.addEventListener("htmx:error", (event) => {
    const error = event.detail.error;
    if (error && error.name === "AbortError") return;
    place().textContent = "The server does not answer. Is `tesuji ui` still running?";
  });
})();
