// Keeps parts of a page fresh: each [data-live] element is replaced by what its address returns. The part says by
// data-every (milliseconds) when to look again; a part without it has come to its end. Without this script the page
// works all the same and is reloaded by hand or by its <noscript> refresh.
"use strict";

(() => {
  const SLOWEST = 30000;
  const ASK_EVERY = 5000;

  // Every answer carries a fresh CSRF token; that alone is no change.
  const essence = (html) => html.replace(/name="csrf_token"[^>]*>/g, "").trim();

  function keepFresh(element) {
    const voice = document.querySelector(`[data-live-voice="${element.dataset.liveName}"]`);
    let seen = null;
    let spoken = null;
    let failures = 0;
    let timer = null;

    const part = () => element.firstElementChild;
    const pace = () => Number(part()?.dataset.every || 0);

    function schedule() {
      clearTimeout(timer);
      const every = pace();
      if (every && !document.hidden) {
        timer = setTimeout(look, Math.min(every * 2 ** failures, SLOWEST));
      }
    }

    function speak() {
      const text = part()?.dataset.say || "";
      if (voice && text !== spoken) {
        spoken = text;
        voice.textContent = text;
      }
    }

    function show(html) {
      if (essence(html) === seen) return;
      const focus = element.contains(document.activeElement) ? document.activeElement.id : "";
      const open = [...element.querySelectorAll("details[open]")].map((details) => details.id);
      const first = seen === null;
      seen = essence(html);
      const fresh = document.createElement("template");
      fresh.innerHTML = html;
      if (first && essence(element.innerHTML) === essence(fresh.innerHTML)) return;
      element.replaceChildren(fresh.content);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      if (focus) document.getElementById(focus)?.focus();
      speak();
    }

    async function look() {
      try {
        const response = await fetch(element.dataset.live, {
          headers: { "X-Requested-With": "fetch" }, cache: "no-store", redirect: "manual",
        });
        if (response.type === "opaqueredirect" || response.status === 404) {
          location.reload(); // logged out, or gone: the page itself says so
          return;
        }
        if (!response.ok) throw new Error(String(response.status));
        show(await response.text());
        failures = 0;
      } catch {
        failures += 1;
      }
      schedule();
    }

    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
    schedule();
  }

  // A console is fetched only while somebody looks at it.
  function keepAsking(element) {
    async function ask() {
      if (document.hidden) return;
      const headers = { "X-Requested-With": "fetch", "X-CSRFToken": element.dataset.csrf };
      try {
        await fetch(element.dataset.liveAsk, { method: "POST", headers, redirect: "manual" });
      } catch {
        // The next round asks again.
      }
    }
    ask();
    setInterval(ask, ASK_EVERY);
  }

  document.querySelectorAll("[data-live]").forEach(keepFresh);
  document.querySelectorAll("[data-live-ask]").forEach(keepAsking);
})();
