// Asking for the token that the server wants.

import { h } from "./dom.js";

export function signInForm(signIn, problem) {
  const submit = (event) => {
    event.preventDefault();
    const value = event.target.elements.token.value.trim();
    if (value) signIn(value);
  };
  return h(
    "form",
    { key: "sign-in", class: "panel sign-in", "aria-labelledby": "title", on: { submit } },
    h("h1", { id: "title", tabindex: "-1" }, "Signed out"),
    h(
      "p",
      {},
      "This server answers only those who bring its token: what the file named by ",
      h("code", {}, "token_file"),
      " holds. It is kept in this tab only.",
    ),
    h("label", { for: "token" }, "Token"),
    h("input", {
      id: "token",
      name: "token",
      type: "password",
      autocomplete: "off",
      required: true,
      made: (input) => queueMicrotask(() => input.focus()),
    }),
    h("p", { class: "refusal", role: "alert" }, problem?.status === 401 ? problem.message : ""),
    h("button", { type: "submit", class: "act" }, "Sign in"),
  );
}
