// What every page needs: an answer that is an error is told, in words, where it can be read.
"use strict";
document.addEventListener("htmx:after:request", async (event) => {
  const { response } = event.detail.ctx;
  const place = document.getElementById("problem");
  if (!response || response.status < 400) place.replaceChildren();
});
