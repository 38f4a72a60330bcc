"use strict";
// The page is whole without this script.  With it: one line at a time, forward or backward, by keyboard; the state stands in the address.
{
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const root = document.documentElement;
  const listbox = find("#lines"), pane = find("#detail"), where = find("#where"), search = find("#search"), dialog = find("#keys");
  const cards = all(".card").map((element) => ({
    element,
    id: element.dataset.node,
    line: element.dataset.line,
    graded: "graded" in element.dataset,
    inputs: element.dataset.inputs.split(" "),
    users: element.dataset.users.split(" "),
    text: element.dataset.search,
  }));
  const byId = new Map(cards.map((card) => [card.id, card]));
  const terms = all(".loss-term");
  const state = { mode: "forward", path: 0, id: cards[0].id, differences: false };
  let before = null; // where a search began
  let order = "forward"; // of the cards in the page

  // A stop is a visit to a line: neighbouring operations of one line.
  function stopsOf(mode) {
    const shown = mode === "backward" ? cards.filter((card) => card.graded).reverse() : cards;
    const stops = [];
    for (const card of shown) {
      const last = stops.at(-1);
      if (last && last[0].line === card.line) last.push(card);
      else stops.push([card]);
    }
    return stops;
  }
  const stops = { forward: stopsOf("forward"), backward: stopsOf("backward") };
  const stopAt = (id) => stops[state.mode].findIndex((stop) => stop.some((card) => card.id === id));

  // Show an operation with its line; what is already so stays as it is.
  function show(id, { move = true } = {}) {
    if (!byId.has(id)) return;
    state.id = id;
    if (stopAt(id) < 0) state.mode = "forward"; // no gradient passes there
    const card = byId.get(id), index = stopAt(id), stop = stops[state.mode][index];
    root.dataset.mode = state.mode;
    for (const button of all("[data-mode]", find("#top"))) button.setAttribute("aria-pressed", String(button.dataset.mode === state.mode));
    showCards(card, stop);
    showLine(card);
    showTime(card, stop);
    showPath();
    const line = find(`#${CSS.escape(card.line)}`);
    const title = find(".name", line.parentElement).textContent.trim().split(/\s+/).reverse().join(", ");
    where.textContent = `${state.mode === "forward" ? "→ forward" : "← backward"}, line ${index + 1} of ${stops[state.mode].length}: ` +
      `${title}, line ${card.line.split("-")[1]}; operation ${card.id}`;
    history.replaceState(null, "", address());
    if (move) {
      if (stop.length > 1 && stop[0] !== card) card.element.scrollIntoView({ block: "nearest" });
      else pane.scrollTop = 0;
      reveal(line, find("#source"));
      reveal(find(`[data-tick="${card.id}"]`), find("#time ol"));
    }
  }

  function showCards(card, stop) {
    if (order !== state.mode) { // also for those who hear the page
      find("#cards").append(...(state.mode === "backward" ? cards.toReversed() : cards).map((other) => other.element));
      order = state.mode;
    }
    for (const other of cards) {
      other.element.hidden = !stop.includes(other);
      other.element.open = other === card;
      other.element.classList.toggle("current", other === card);
    }
  }

  function showLine(card) {
    for (const line of all(".line.visited")) {
      const selected = line.id === card.line;
      line.setAttribute("aria-selected", String(selected));
      line.tabIndex = selected ? 0 : -1;
      if (selected && listbox.contains(document.activeElement)) line.focus({ preventScroll: true });
    }
  }

  function showTime(card, stop) {
    for (const tick of all("[data-tick]")) {
      const id = tick.dataset.tick;
      if (id === card.id) tick.setAttribute("aria-current", "step");
      else tick.removeAttribute("aria-current");
      tick.classList.toggle("line-now", stop.some((other) => other.id === id));
      tick.classList.toggle("feeds", card.inputs.includes(id));
      tick.classList.toggle("fed", card.users.includes(id));
    }
  }

  function showPath() {
    for (const part of all(".path")) part.toggleAttribute("hidden", part.dataset.path !== String(state.path));
    for (const row of all("[data-row]")) row.classList.toggle("chosen", row.dataset.row === String(state.path));
    for (const term of terms) term.setAttribute("aria-pressed", String(term.dataset.path === String(state.path)));
  }

  // Scroll a panel, and nothing else, until an element is inside.
  function reveal(element, panel) {
    const inner = element.getBoundingClientRect(), outer = panel.getBoundingClientRect();
    if (inner.top < outer.top + 40 || inner.bottom > outer.bottom - 40) panel.scrollTop += inner.top - outer.top - outer.height / 3;
    if (inner.left < outer.left || inner.right > outer.right) panel.scrollLeft += inner.left - outer.left - outer.width / 3;
  }

  function address() {
    const parts = [`n${state.id}`];
    if (state.mode !== "forward" || state.path) parts.push(state.mode);
    if (state.path) parts.push(encodeURIComponent(find("span", terms[state.path]).textContent));
    return `#${parts.join(",")}`;
  }

  // "#n6" keeps mode and term; "#n6,backward,kl" sets them.
  function go() {
    const [id, mode, term] = location.hash.slice(1).split(",");
    if (mode === "forward" || mode === "backward") {
      state.mode = mode;
      state.path = term ? Math.max(terms.findIndex((button) => find("span", button).textContent === decodeURIComponent(term)), 0) : 0;
    }
    show(byId.has(id.slice(1)) ? id.slice(1) : state.id);
  }

  function say(text) {
    where.textContent = text;
  }

  function step(by) {
    const next = stops[state.mode][stopAt(state.id) + by];
    if (next) show(next[0].id);
    else say(by > 0 ? "This is the last line." : "This is the first line.");
  }

  function stepOperation(by) {
    const order = stops[state.mode].flat();
    const next = order[order.findIndex((card) => card.id === state.id) + by];
    if (next) show(next.id);
    else say(by > 0 ? "This is the last operation." : "This is the first operation.");
  }

  function setMode(mode) {
    if (!stops[mode].length) return say("There is no gradient.");
    state.mode = mode;
    show(mode === "backward" ? stops.backward[0][0].id : state.id);
  }

  function setPath(path) {
    if (path >= terms.length) return say("The loss has one term.");
    state.path = path;
    show(state.id, { move: false });
  }

  function setDifferences() {
    if (!find("#difference")) return say("There is no second trace.");
    state.differences = !state.differences;
    find("#difference").setAttribute("aria-pressed", String(state.differences));
    for (const part of all(".difference")) part.hidden = !state.differences;
  }

  function searchNext() {
    const wanted = search.value.trim().toLowerCase();
    const found = wanted ? cards.filter((card) => card.text.includes(wanted)) : [];
    if (!found.length) return say(wanted ? `Nothing is called ${wanted}.` : "");
    const after = found.find((card) => Number(card.id) > Number(state.id)) ?? found[0];
    show(after.id);
    say(`${found.indexOf(after) + 1} of ${found.length} found: ${after.text}`);
  }

  const panels = ["#source", "#detail", "#time", "#whole"];
  const keys = {
    j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
    ArrowRight: () => stepOperation(1), ArrowLeft: () => stepOperation(-1),
    f: () => setMode("forward"), b: () => setMode("backward"),
    g: () => show(stops[state.mode][0][0].id), G: () => show(stops[state.mode].at(-1)[0].id),
    t: () => setPath(0), r: () => setPath(1), e: () => setPath(2),
    d: setDifferences,
    "/": () => { before = state.id; search.focus(); },
    "?": () => dialog.showModal(),
  };
  panels.forEach((panel, i) => { keys[i + 1] = () => find(panel).toggleAttribute("hidden"); });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || dialog.open) return;
    if (event.target === search) {
      if (event.key === "Enter") searchNext();
      else if (event.key === "Escape") { search.value = ""; search.blur(); show(before ?? state.id); }
      else return;
    } else if (keys[event.key] && !event.target.matches("input, textarea, select")) keys[event.key]();
    else return;
    event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#n"]'), line = event.target.closest(".line.visited"), summary = event.target.closest(".card > summary");
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (line) {
      const ids = line.dataset.nodes.split(" ").filter((id) => stopAt(id) >= 0);
      event.preventDefault();
      line.focus({ preventScroll: true });
      show(ids.length ? (state.mode === "backward" ? ids.at(-1) : ids[0]) : line.dataset.nodes.split(" ")[0]);
    } else if (link) {
      event.preventDefault();
      show(link.hash.slice(2));
    } else if (summary && summary.parentElement.dataset.node !== state.id) {
      event.preventDefault();
      show(summary.parentElement.dataset.node, { move: false });
    }
  });
  for (const button of all("[data-mode]", find("#top"))) button.addEventListener("click", () => setMode(button.dataset.mode));
  for (const term of terms) term.addEventListener("click", () => setPath(Number(term.dataset.path)));
  find("#difference")?.addEventListener("click", setDifferences);
  find("#help").addEventListener("click", () => dialog.showModal());
  search.addEventListener("focus", () => { before = state.id; });
  window.addEventListener("hashchange", go);
  window.addEventListener("beforeprint", () => cards.forEach((card) => { card.element.open = true; }));
  window.addEventListener("afterprint", () => show(state.id, { move: false }));

  // What only a script can make true: roles, roving focus, and controls that work.
  root.classList.add("js");
  for (const body of all(".body")) body.removeAttribute("id"); // or the browser would scroll to it by itself
  for (const hidden of all(".modes, .tools, #where")) hidden.hidden = false;
  for (const term of terms) term.disabled = false;
  listbox.setAttribute("role", "listbox");
  for (const group of all(".function")) {
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", find(".name", group).textContent.trim().replace(/\s+/g, ", "));
    find(".name", group).setAttribute("aria-hidden", "true");
  }
  for (const line of all(".line")) {
    line.setAttribute("role", "option");
    if (!line.classList.contains("visited")) line.setAttribute("aria-disabled", "true");
    for (const link of all("a", line)) link.replaceWith(link.textContent); // an option holds no link
  }
  go();
}
