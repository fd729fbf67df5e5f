// Steps through recorded games. The data is JSON in the page; every text goes in by textContent.
// The address can name a place: #game=2&turn=3 (games from 1, turn 0 is the beginning).
"use strict";
(() => {
  const games = JSON.parse(document.getElementById("game-data").textContent);
  const byId = (id) => document.getElementById(id);
  const EMPTY = new Set(["", ".", "_", "-", "·"]);
  let game = 0;
  let turn = 0;

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const clamp = (value, most) => Math.min(Math.max(value, 0), most);

  // Colours belong to characters in the order in which they first appear in the game.
  const piecesOf = (steps) => {
    const seen = [];
    for (const step of steps)
      for (const row of step.grid)
        for (const char of row) if (!EMPTY.has(char) && !seen.includes(char)) seen.push(char);
    return seen;
  };

  const drawGrid = (board, step, pieces) => {
    const columns = step.grid[0].length;
    board.className = "grid";
    board.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    board.style.setProperty("--glyph", `${clamp(11 / columns, 3.4)}rem`);
    const named = (cells) => new Set(cells.map(([row, column]) => `${row},${column}`));
    const changed = named(step.changed);
    const won = named(step.won);
    step.grid.forEach((line, row) =>
      [...line].forEach((char, column) => {
        const kind = EMPTY.has(char) ? "empty" : `piece${pieces.indexOf(char)}`;
        const at = `${row},${column}`;
        const mark = (changed.has(at) ? " changed" : "") + (won.has(at) ? " won" : "");
        board.append(element("div", `cell ${kind}${mark}`, EMPTY.has(char) ? "" : char));
      }),
    );
  };

  const drawBoard = (step) => {
    const board = byId("board");
    board.replaceChildren();
    board.removeAttribute("style");
    board.className = "";
    board.setAttribute("aria-label", `position: ${step.position}`);
    if (step.grid.length) drawGrid(board, step, piecesOf(games[game].steps));
    else board.append(element("pre", "", step.position));
  };

  const drawSaid = (words, attempt) => {
    if (attempt.thought) words.append(element("div", "said thought", attempt.thought));
    if (attempt.reply) {
      words.append(element("div", "label", "reply"), element("div", "said", attempt.reply));
    }
    if (attempt.found) words.append(element("p", "label", attempt.found));
    if (attempt.problem) words.append(element("p", "problem", `illegal: ${attempt.problem}`));
  };

  const drawWords = (step, last) => {
    const words = byId("words");
    words.replaceChildren(element("h4", "", step.title));
    if (step.seen) {
      words.append(element("div", "label", "was shown"), element("pre", "", step.seen));
    }
    for (const attempt of step.says) drawSaid(words, attempt);
    if (step.played) words.append(element("p", step.problem ? "problem" : "", step.played));
    if (last) {
      words.append(element("p", "", `The end: ${games[game].ending}`));
      words.append(element("p", "", games[game].returns));
    }
  };

  const show = () => {
    const { steps } = games[game];
    const most = steps.length - 1;
    drawBoard(steps[turn]);
    drawWords(steps[turn], turn === most);
    byId("slider").max = most;
    byId("slider").value = turn;
    byId("count").textContent = `step ${turn} of ${most}`;
    byId("first").disabled = byId("previous").disabled = turn === 0;
    byId("last").disabled = byId("next").disabled = turn === most;
    [...byId("choices").children].forEach((button, index) =>
      button.setAttribute("aria-selected", String(index === game)),
    );
  };

  const go = (toGame, toTurn) => {
    game = clamp(toGame, games.length - 1);
    turn = clamp(toTurn, games[game].steps.length - 1);
    show();
  };

  const fromAddress = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (asked.has("game")) go(Number(asked.get("game")) - 1 || 0, Number(asked.get("turn")) || 0);
  };

  games.forEach((one, index) => {
    const button = element("button", one.outcome, one.title);
    button.type = "button";
    button.setAttribute("role", "tab");
    button.append(element("small", "", one.look));
    button.addEventListener("click", () => go(index, Infinity));
    byId("choices").append(button);
  });
  byId("first").addEventListener("click", () => go(game, 0));
  byId("previous").addEventListener("click", () => go(game, turn - 1));
  byId("next").addEventListener("click", () => go(game, turn + 1));
  byId("last").addEventListener("click", () => go(game, Infinity));
  byId("slider").addEventListener("input", (event) => go(game, Number(event.target.value)));
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "slider" || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") go(game, turn - 1);
    if (event.key === "ArrowRight") go(game, turn + 1);
  });
  window.addEventListener("hashchange", fromAddress);
  byId("player").hidden = false;
  go(0, Infinity);
  fromAddress();
})();
