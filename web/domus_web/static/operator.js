// Suggestions for fields that name another thing. Without this script the name is typed in full.
"use strict";

for (const list of document.querySelectorAll("datalist[data-url]")) {
  const input = document.querySelector(`input[list="${list.id}"]`);
  let asked = null;
  let pause = 0;

  async function suggest() {
    const query = input.value.trim();
    if (query === asked) return;
    asked = query;
    const answer = await fetch(`${list.dataset.url}&query=${encodeURIComponent(query)}`, {
      headers: { Accept: "application/json" },
    });
    if (!answer.ok || input.value.trim() !== query) return;
    list.replaceChildren(
      ...(await answer.json()).map(([, label]) => Object.assign(document.createElement("option"), { value: label })),
    );
  }

  input.addEventListener("focus", suggest);
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(suggest, 150);
  });
}
