// Shows beside each location whether the chosen product still fits there, and the total, as the choice changes.
"use strict";

(() => {
  const form = document.querySelector("[data-order]");
  if (!form) return;

  function label(places) {
    if (places <= 0) return ["Full", "off"];
    return places <= 5 ? [`${places} left`, "warning"] : ["Available", "ok"];
  }

  function status(text, tone) {
    const outer = document.createElement("span");
    outer.className = `status ${tone}`;
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.setAttribute("aria-hidden", "true");
    outer.append(dot, text);
    return outer;
  }

  function update(first) {
    const chosen = form.querySelector("input[name=price_id]:checked");
    if (!chosen) return;
    form.querySelector("[data-summary=name]").textContent = chosen.dataset.name;
    let extra = false;
    for (const addon of form.querySelectorAll("[data-addon-of]")) {
      const mine = addon.dataset.addonOf === chosen.dataset.product;
      addon.hidden = !mine;
      const pieces = addon.querySelector("input");
      if (!mine) pieces.value = pieces.min; // what cannot be seen is not ordered
      extra ||= mine && Number(pieces.value) > 0;
    }
    // The add-ons are reckoned in by the server, which knows the tax: the page shows the total when it is asked to.
    if (!first || !extra) {
      form.querySelector("[data-summary=total]").textContent = extra ? "Show the total below" : chosen.dataset.total;
    }
    const coupon = form.querySelector("[data-summary=coupon]");
    if (coupon) coupon.textContent = chosen.dataset.coupon;
    for (const pair of chosen.dataset.free.trim().split(/\s+/)) {
      const [place, places] = pair.split(":");
      form.querySelector(`[data-place="${place}"]`)?.replaceChildren(status(...label(Number(places))));
    }
  }

  form.addEventListener("change", (event) => {
    if (event.target.name === "price_id" || event.target.closest("[data-addon-of]")) update(false);
  });
  update(true); // the browser may have kept a choice over a reload
})();
