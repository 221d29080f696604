// Pages are whole without this. Where an element says data-live, its inside is fetched again when the server says so.
"use strict";
(() => {
  const places = document.querySelectorAll("[data-live]");
  if (!places.length || !window.EventSource) return;
  const refresh = async (place) => {
    // Nobody's focus is taken away; of a region that scrolls, only its place.
    if (place.contains(document.activeElement) && !document.activeElement.matches(".scroll")) return;
    const answer = await fetch(place.dataset.live, { headers: { "X-Annul-Part": "1" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    const fresh = await answer.text();
    const before = [...place.querySelectorAll(".scroll")].map((region) => region.scrollLeft);
    const held = [...place.querySelectorAll(".scroll")].indexOf(document.activeElement);
    place.innerHTML = fresh;
    place.querySelectorAll(".scroll").forEach((region, number) => {
      region.scrollLeft = before[number] || 0;
      if (number === held) region.focus({ preventScroll: true });
    });
    place.classList.remove("stale");
  };
  const stale = (place) => place.classList.add("stale"); // says so in words, by its attribute data-stale
  const source = new EventSource("/events");
  source.addEventListener("look", () => places.forEach((place) => refresh(place).catch(() => stale(place))));
  source.addEventListener("error", () => places.forEach(stale));
})();
