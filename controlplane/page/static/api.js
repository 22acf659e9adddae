// Asking the server: the token, and errors as RFC 9457 tells them.

const TOKEN = "carbonrouter.token";
const PATIENCE_MS = 20_000;
let remembered = null;

/** What the server said no with. `status` 0: it did not answer. */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail ? `${title}: ${detail}` : title);
    this.status = status;
  }
}

export function token() {
  try {
    return sessionStorage.getItem(TOKEN) ?? remembered;
  } catch {
    return remembered;
  }
}

/** Keep the token for this tab only; null forgets it. */
export function keepToken(value) {
  remembered = value;
  try {
    if (value === null) sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, value);
  } catch {
    // Without storage it lasts until the page is left.
  }
}

export function url(...parts) {
  return `api/v1/${parts.map(encodeURIComponent).join("/")}`;
}

export async function request(path, { method = "GET", body, signal, accept = "application/json" } = {}) {
  const headers = { accept };
  if (token() !== null) headers.authorization = `Bearer ${token()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    const content = body === undefined ? undefined : JSON.stringify(body);
    answer = await fetch(path, { method, headers, body: content, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer", "");
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** The JSON answer, or null where there is none. */
export async function ask(path, options = {}) {
  const limit = AbortSignal.timeout(PATIENCE_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  try {
    const answer = await request(path, { ...options, signal });
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (error instanceof Problem || options.signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer", `nothing within ${PATIENCE_MS / 1000} s`);
  }
}

async function problemOf(answer) {
  const text = await answer.text().catch(() => "");
  try {
    const problem = JSON.parse(text);
    const title = String(problem.title ?? answer.statusText);
    const detail = typeof problem.detail === "string" ? problem.detail : "";
    return new Problem(answer.status, title || `Status ${answer.status}`, detail);
  } catch {
    return new Problem(answer.status, answer.statusText || `Status ${answer.status}`, "");
  }
}
