// What is read out to those who cannot see it: changes of state, never every tick.

let lines = [];

/** Say it; what is said at the same moment is said together. */
export function announce(text) {
  if (!text) return;
  if (lines.length === 0) queueMicrotask(speak);
  lines.push(text);
}

function speak() {
  document.getElementById("announce").textContent = lines.join(". ");
  lines = [];
}
