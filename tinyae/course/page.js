"use strict";
// The pages are whole without this script.  With it: code is copied, parts and lessons are reached by keys, and the course is searched.
{
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const search = document.querySelector("#search");

  // Copying: exactly the code, without line numbers.
  async function copy(button) {
    const text = document.getElementById(button.dataset.of).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a browser that lets no file do that
      const area = document.body.appendChild(document.createElement("textarea"));
      area.value = text;
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }
  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }

  // What does not fit is scrolled; also with the keyboard.
  const boxes = all(".wide, .formula");
  const reach = () => {
    for (const box of boxes) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  new ResizeObserver(reach).observe(document.body);
  reach();

  // Keys: j k for the parts, n p for the lessons, / for the search.
  const parts = all("main section[id]");
  function go(step) {
    const boxes = parts.map((part) => part.getBoundingClientRect());
    const here = parts.findIndex((part, i) => part.contains(document.activeElement) && boxes[i].bottom > 0 && boxes[i].top < innerHeight);
    const next = here >= 0 ? here + step : step > 0 ? boxes.findIndex((box) => box.top > 24) : boxes.findLastIndex((box) => box.top < -8);
    parts[next]?.scrollIntoView();
    parts[next]?.focus({ preventScroll: true });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, textarea, select")) return;
    if (event.key === "j" || event.key === "k") go(event.key === "j" ? 1 : -1);
    else if (event.key === "n" || event.key === "p") document.querySelector(`a[rel=${event.key === "n" ? "next" : "prev"}]`)?.click();
    else if (event.key === "/" && search) search.focus();
    else if (event.key === "/") document.querySelector("a[data-search]")?.click();
    else return;
    event.preventDefault();
  });
  for (const keys of all(".keys")) keys.hidden = false;

  // The search: every word must be found in the title of the lesson, the heading of the part, or its text.
  if (search) {
    const parsed = JSON.parse(document.getElementById("index").textContent);
    const places = parsed.flatMap((lesson) => lesson.sections.map(([id, heading, text]) => ({ lesson, id, heading, text })));
    const list = document.querySelector("#found"), told = document.querySelector("#told");

    function rank(place, words) {
      const title = place.lesson.title.toLowerCase(), heading = place.heading.toLowerCase(), text = place.text.toLowerCase();
      let points = 0;
      for (const word of words) {
        const here = (place.id === "top" && title.includes(word) ? 9 : 0) + (heading.includes(word) ? 4 : 0) + (text.includes(word) ? 1 : 0);
        if (!here && !title.includes(word)) return 0;
        points += here;
      }
      return points;
    }

    function excerpt(text, words) {
      const low = text.toLowerCase(), first = Math.max(Math.min(...words.map((word) => low.indexOf(word)).filter((at) => at >= 0), text.length) - 60, 0);
      const start = first === 0 || first >= text.length ? 0 : text.indexOf(" ", first) + 1, shown = text.slice(start, start + 200);
      const piece = document.createElement("p"), lower = shown.toLowerCase();
      piece.append(start ? "… " : "");
      for (let at = 0; at < shown.length;) {
        const hits = words.map((word) => [lower.indexOf(word, at), word.length]).filter(([place]) => place >= 0).sort((a, b) => a[0] - b[0] || b[1] - a[1]);
        const [place, length] = hits[0] ?? [shown.length, 0];
        piece.append(shown.slice(at, place));
        if (length) piece.appendChild(document.createElement("mark")).textContent = shown.slice(place, place + length);
        at = place + length;
      }
      piece.append(start + 200 < text.length ? " …" : "");
      return piece;
    }

    function find() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = words.length ? places.map((place) => [rank(place, words), place]).filter(([points]) => points).sort((a, b) => b[0] - a[0]) : [];
      list.replaceChildren(...found.slice(0, 24).map(([, place]) => {
        const item = document.createElement("li"), name = item.appendChild(document.createElement(place.lesson.page ? "a" : "b"));
        name.textContent = `${place.lesson.number}  ${place.lesson.title}${place.heading ? ": " + place.heading : ""}`;
        if (place.lesson.page) name.href = place.lesson.page + "#" + place.id;
        item.append(excerpt(place.text, words));
        return item;
      }));
      told.textContent = !words.length ? "" : found.length ? `${found.length} ${found.length > 1 ? "places" : "place"}${found.length > 24 ? ", the first 24" : ""}` : "nothing found";
    }
    search.addEventListener("input", find);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { search.value = ""; find(); search.blur(); }
    });
    search.closest(".search").hidden = false;
    if (location.hash === "#search") search.focus();
    find();
  }
}
