// What the pages of reports share: records from files, a gallery in pages, charts. Texts enter the page as text, never as markup.
const m3h = (() => {
"use strict";
const PER_PAGE = 24;
const files = new Map(), arrived = new Map();
const $ = (id) => document.getElementById(id);

function load(kind, part) {
  const key = `${kind}-${part}`;
  if (!files.has(key)) {
    files.set(key, new Promise((resolve, reject) => {
      arrived.set(key, resolve);
      const name = typeof part === "number" ? String(part).padStart(5, "0") : part;
      const script = Object.assign(document.createElement("script"), { src: `data/${kind}-${name}.js` });
      script.onerror = () => reject(new Error(`data/${kind}-${name}.js is missing; make the report again.`));
      script.onload = () => script.remove();
      document.head.append(script);
    }));
  }
  return files.get(key);
}

function element(name, fields = {}, ...children) {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function drawing(name, fields, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [field, value] of Object.entries(fields)) made.setAttribute(field, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function overlay(facts, labelled) {
  const [width, height] = facts.size;
  const svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const size = Math.max(width, height) / (labelled ? 48 : 26);
  const draw = (kind, label, x, y, w, h) => {
    const group = drawing("g", { class: kind });
    group.append(drawing("rect", { x, y, width: w, height: h }));
    if (labelled) group.append(drawing("text", { x: x + size / 4, y: Math.max(y, size), "font-size": size }, label));
    svg.append(group);
  };
  for (const [label, x1, y1, x2, y2] of facts.objects ?? []) draw("object", label, x1, y1, x2 - x1, y2 - y1);
  for (const [label, x, y, w, h] of facts.words ?? []) if (x !== undefined) draw("word", label, x, y, w, h);
  return svg;
}

function picture(record, facts, labelled) {
  if (!facts?.size) return element("div", { className: "nothing", textContent: record.reason ? record.reason.replaceAll("_", " ") : "no picture stored" });
  const sha = record.image_sha256;
  const image = element("img", { src: `thumbnails/${sha.slice(0, 2)}/${sha}.jpg`, alt: record.alt || `Picture of ${record.post_id ?? record.record_id}`, loading: "lazy" });
  return element("div", { className: record.sensitive ? "frame sensitive" : "frame" }, element("div", { className: "fit" }, image, overlay(facts, labelled)));
}

const chips = (values, className) => element("ul", { className: "chips" }, ...values.map((value) => element("li", { className, textContent: value })));

function listed(plain, lists) {
  const list = element("dl");
  for (const [name, value] of Object.entries(plain)) if (value !== undefined && value !== "" && value !== null) list.append(element("dt", { textContent: name }), element("dd", {}, value));
  for (const [name, values] of Object.entries(lists)) if (values?.length) list.append(element("dt", { textContent: name }), element("dd", {}, chips(values, name === "keyphrases" ? "key" : "")));
  return list;
}

function facts(known) {
  const scored = (rows) => (rows ?? []).map((row) => (row.at(-1) === null ? row[0] : `${row[0]} ${row.at(-1)}`));
  return { attributes: scored(known.attributes), objects: scored(known.objects), "words in the picture": (known.words ?? []).map((word) => word[0]) };
}

function open(...parts) {
  $("whole").replaceChildren(...parts);
  $("detail").showModal();
}

// Whether a record has all words, by texts to search in and the words of its picture.
function finder(query, { texts, pictures }, pictureOf) {
  const words = query.split(/\s+/);
  const shown = pictures.map((text) => words.map((word) => text.includes(word)));
  return (i) => words.every((word, n) => texts[i].includes(word) || shown[pictureOf?.[i]]?.[n]);
}

// A gallery in pages. index() gives the index, tests(index) what a record must pass, cards(index, numbers) the cards.
function gallery({ index, tests, cards, noun }) {
  const state = { page: 0, found: [], turn: 0 };

  async function search() {
    const turn = ++state.turn;
    try {
      const known = await index();
      const passed = await tests(known);
      if (turn !== state.turn) return;
      const found = Array.from({ length: known.number }, (_, i) => i).filter((i) => passed.every((test) => test(i)));
      Object.assign(state, { found, page: 0, known });
      await show();
    } catch (error) {
      $("found").textContent = error.message;
    }
  }

  async function show() {
    const { found, known, turn } = state;
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    const page = state.page = Math.min(Math.max(state.page, 0), pages - 1);
    const made = await cards(known, found.slice(page * PER_PAGE, (page + 1) * PER_PAGE));
    if (turn !== state.turn || page !== state.page) return;
    $("cards").replaceChildren(...made);
    $("found").textContent = `${found.length.toLocaleString("en")} of ${known.number.toLocaleString("en")} ${noun()}`;
    Object.assign($("page"), { value: page + 1, max: pages });
    $("pages").textContent = `of ${pages.toLocaleString("en")}`;
    $("previous").disabled = page === 0;
    $("next").disabled = page === pages - 1;
  }

  function turnTo(page) {
    state.page = page;
    return show().then(() => $("found").scrollIntoView({ block: "start" }));
  }

  let waiting;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(search, 150); };
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const field of $("filters").querySelectorAll("select:not([data-own])")) field.addEventListener("change", search);
  for (const field of $("filters").querySelectorAll("input:not([type=checkbox])")) field.addEventListener("input", soon);
  for (const [id, name] of [["boxes", "hide-boxes"], ["ocr", "hide-ocr"]]) $(id).addEventListener("change", () => document.body.classList.toggle(name, !$(id).checked));
  $("previous").addEventListener("click", () => turnTo(state.page - 1));
  $("next").addEventListener("click", () => turnTo(state.page + 1));
  $("page").addEventListener("change", () => turnTo((Number($("page").value) || 1) - 1));
  return search;
}

const chosen = (id) => ($(id).value === "" ? null : Number($(id).value));
const options = (id, names) => $(id).append(...names.map((name, i) => element("option", { value: i, textContent: name })));

function phraseTest(names, phrases, wanted) {
  const exact = names.indexOf(wanted);
  const numbers = new Set(exact >= 0 ? [exact] : names.flatMap((name, i) => (name.includes(wanted) ? [i] : [])));
  return (i) => phrases[i].some((one) => numbers.has(one));
}

function suggest(id, names, phrases) {
  const frequency = new Uint32Array(names.length);
  for (const own of phrases) for (const phrase of own) frequency[phrase]++;
  const top = [...frequency.keys()].sort((a, b) => frequency[b] - frequency[a]).slice(0, 500);
  $(id).append(...top.map((i) => element("option", { value: names[i] })));
}

function draw(places) {
  const style = getComputedStyle(document.documentElement);
  const [fg, line] = [style.getPropertyValue("--fg").trim(), style.getPropertyValue("--line").trim()];
  const text = { labelColor: fg, titleColor: fg };
  const config = { background: "transparent", view: { stroke: "transparent" }, axis: { ...text, gridColor: line, domainColor: line, tickColor: line }, legend: text };
  for (const place of places) vegaEmbed(place, m3hCharts[place.dataset.chart], { actions: false, renderer: "svg", config });
}

function drawWhenSeen() {
  const places = [...document.querySelectorAll("[data-chart]")];
  let library = null;
  const watch = new IntersectionObserver((seen) => {
    const now = seen.filter((one) => one.isIntersecting).map((one) => one.target);
    now.forEach((place) => watch.unobserve(place));
    library ??= new Promise((resolve) => {
      document.head.append(Object.assign(document.createElement("script"), { src: "vega.js", onload: resolve }));
    });
    if (now.length) library.then(() => draw(now));
  }, { rootMargin: "400px" });
  places.forEach((place) => watch.observe(place));
}


function begin(fill) {
  requestAnimationFrame(() => setTimeout(() => { drawWhenSeen(); fill(); }));
}

return { $, loaded: (kind, part, value) => arrived.get(`${kind}-${part}`)(value), load, element, picture, chips, listed, facts, open, finder, gallery, chosen, options, phraseTest, suggest, begin };
})();
