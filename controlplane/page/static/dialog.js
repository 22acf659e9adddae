// Asking once more before something is done.

import { h, patch } from "./dom.js";

/** Whether a person has confirmed it. */
export function confirmed({ title, said, action }) {
  const dialog = document.getElementById("dialog");
  patch(
    dialog,
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      h("p", {}, said),
      h(
        "div",
        { class: "buttons" },
        h("button", { value: "no", class: "plain" }, "Cancel"),
        h("button", { value: "yes", class: "act" }, action),
      ),
    ),
  );
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
