// Boards. A move that goes from one cell to another takes two presses; arrows go from cell to cell.
"use strict";

function clear(board) {
  delete board.dataset.from;
  board.closest("form").querySelector(".which").replaceChildren();
  for (const cell of board.querySelectorAll(".from, .to")) {
    cell.classList.remove("from", "to");
    cell.removeAttribute("aria-pressed");
  }
}

function play(form, number) {
  form.elements.number.value = number;
  form.requestSubmit();
}

function ask(form, paths) {
  const place = form.querySelector(".which");
  for (const [number, , words] of paths) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", () => play(form, number));
    place.append(button);
  }
  place.firstElementChild.focus();
}

function choose(board, cell, paths) {
  const at = cell.dataset.at;
  board.dataset.from = at;
  cell.classList.add("from");
  cell.setAttribute("aria-pressed", "true");
  for (const [, cells] of paths) {
    if (cells.length > 1 && cells[0] === at) board.querySelector(`#at-${cells[1]}`).classList.add("to");
  }
}

function press(board, cell) {
  const paths = JSON.parse(board.dataset.paths), from = board.dataset.from, at = cell.dataset.at;
  const path = (from ? [from, at] : [at]).join();
  const meant = paths.filter(([, cells]) => cells.join() === path);
  clear(board);
  if (meant.length === 1) play(board.closest("form"), meant[0][0]);
  else if (meant.length > 1) ask(board.closest("form"), meant);
  else if (from !== at && paths.some(([, cells]) => cells.length > 1 && cells[0] === at)) choose(board, cell, paths);
}

function move(board, cell, down, right) {
  const [row, column] = cell.dataset.at.split("-").map(Number);
  let best = null, least = Infinity;
  for (const other of board.querySelectorAll("button[data-at]")) {
    const [r, c] = other.dataset.at.split("-").map(Number);
    const ahead = (r - row) * down + (c - column) * right;
    const aside = Math.abs((r - row) * right) + Math.abs((c - column) * down);
    if (ahead > 0 && ahead + 3 * aside < least) [best, least] = [other, ahead + 3 * aside];
  }
  best?.focus();
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
let onBoard = false;

document.addEventListener("click", (event) => {
  onBoard = Boolean(event.target.closest(".board"));
  const cell = event.target.closest("button[data-step]");
  if (cell) press(cell.closest(".board"), cell);
});

document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.(".board button");
  if (cell && ARROWS[event.key]) {
    event.preventDefault();
    move(cell.closest(".board"), cell, ...ARROWS[event.key]);
  }
  const board = document.getElementById("board");
  if (event.key === "Escape" && board) clear(board);
});

function settle() {
  const chat = document.getElementById("chat");
  if (chat) chat.scrollTop = chat.scrollHeight;
  if (onBoard && document.activeElement === document.body) {
    document.querySelector(".board button")?.focus({ preventScroll: true });
  }
}
document.addEventListener("htmx:after:swap", settle);
document.addEventListener("DOMContentLoaded", settle);
