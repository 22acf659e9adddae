// The stream of changes. Read by fetch, since EventSource cannot send a token.

import { Problem, request, url } from "./api.js";

const SHORTEST_MS = 500;
const LONGEST_MS = 15_000;
// A comment comes every 15 s; a connection without two of them is dead, whatever the network says.
const SILENT_MS = 40_000;
// The server ends long streams by itself; one that ends sooner than this has met with a failure.
const LONG_MS = 10_000;

/**
 * Follow the stream for as long as the page is open. `onState` is told "live", "reconnecting", "connecting" (after a
 * rest) or "signed-out" (then nothing is tried until `again`); `onChange` of every change, and at every connection
 * since changes may have been missed. Returns `again`, which connects at once, and `rest`, which hangs up until then:
 * a browser has few connections to one server, and the server few listeners.
 */
export function follow({ onState, onChange }) {
  let attempt = null;
  let wake = () => {};

  async function connectForever() {
    for (let failures = 0; ;) {
      attempt = new AbortController();
      let [waitMs, openedAt] = [null, Infinity];
      try {
        await readStream(
          attempt,
          () => {
            failures = 0;
            openedAt = performance.now();
            onState("live");
            onChange();
          },
          onChange,
        );
        if (performance.now() - openedAt > LONG_MS) continue;
        onState("reconnecting");
      } catch (error) {
        if (attempt.signal.reason === "again") continue;
        const refused = error instanceof Problem && error.status === 401;
        const resting = attempt.signal.reason === "rest";
        onState(refused ? "signed-out" : resting ? "connecting" : "reconnecting");
        if (refused || resting) waitMs = Infinity;
      }
      failures += 1;
      await pause(waitMs ?? backOff(failures), (now) => {
        wake = now;
      });
    }
  }

  connectForever();
  return {
    again() {
      attempt?.abort("again");
      wake();
    },
    rest() {
      attempt?.abort("rest");
    },
  };
}

function backOff(failures) {
  const longest = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** (failures - 1));
  return longest * (0.5 + 0.5 * Math.random());
}

function pause(milliseconds, early) {
  return new Promise((resolve) => {
    const timer = milliseconds === Infinity ? undefined : setTimeout(resolve, milliseconds);
    early(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function readStream(attempt, onOpen, onEvent) {
  let timer = setTimeout(() => attempt.abort("silent"), SILENT_MS);
  try {
    const answer = await request(url("events"), { signal: attempt.signal, accept: "text/event-stream" });
    onOpen();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => attempt.abort("silent"), SILENT_MS);
      text += value.replaceAll("\r", "");
      const messages = text.split("\n\n");
      text = messages.pop();
      if (messages.some((message) => /^data:/m.test(message))) onEvent();
    }
  } finally {
    clearTimeout(timer);
  }
}
