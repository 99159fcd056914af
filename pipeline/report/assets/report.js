// The gallery of a dataset: its posts and its dropped records.
(() => {
"use strict";
const { $, load, element, picture, chips, chosen, options } = m3h;
const kind = () => $("kind").value;

function card(record, facts) {
  const text = record.text ?? record.detail;
  const about = record.text === undefined ? `${record.stage}: ${record.reason}` : record.split;
  return element("article", { className: "card" }, picture(record, facts, false), element("div", { className: "text" },
    element("div", { textContent: text.length > 220 ? `${text.slice(0, 220)}…` : text }),
    record.keyphrases ? chips(record.keyphrases, "key") : null,
    element("div", { className: "muted", textContent: about }),
    element("button", { type: "button", textContent: "Details", ariaLabel: `Details of ${record.post_id ?? record.record_id}`, onclick: () => detail(record, facts ?? {}) })));
}

function detail(record, facts) {
  const plain = { text: record.text, id: record.post_id ?? record.record_id, split: record.split, language: record.lang, written: record.created_at, group: record.group, "author's description": record.alt, stage: record.stage, reason: record.reason, means: record.means, detail: record.detail, source: record.source, position: record.position };
  m3h.open(picture(record, facts, true), m3h.listed(plain, { keyphrases: record.keyphrases, tokens: record.tokens, ...m3h.facts(facts) }));
}

async function tests(index) {
  const found = [];
  if (kind() === "posts") {
    const [split, lang, has, phrase] = [chosen("split"), chosen("lang"), chosen("has"), $("phrase").value.trim().toLowerCase()];
    if (split !== null) found.push((i) => index.split[i] === split);
    if (lang !== null) found.push((i) => index.lang[i] === lang);
    if (has !== null) found.push((i) => (index.has[i] >> has) & 1);
    if (phrase) found.push(m3h.phraseTest(index.names, index.phrases, phrase));
  } else if (chosen("reason") !== null) found.push((i) => index.reason[i] === chosen("reason"));
  const query = $("query").value.trim().toLowerCase();
  if (query) found.push(m3h.finder(query, await load(kind(), "search"), index.picture));
  return found;
}

async function cards(index, here) {
  const of = kind();
  const parts = await Promise.all(here.map((i) => load(of, Math.floor(i / index.per))));
  return here.map((i, n) => {
    const record = parts[n].records[i % index.per];
    if (of === "dropped") record.means = index.means[index.reason[i]];
    return card(record, parts[n].pictures[record.image_sha256]);
  });
}

const search = m3h.gallery({ index: () => load(kind(), "index"), tests, cards, noun: () => (kind() === "posts" ? "posts" : "dropped records") });

function change() {
  for (const label of document.querySelectorAll("[data-for]")) label.hidden = label.dataset.for !== kind();
  return search();
}

async function fill() {
  const index = await load("posts", "index");
  options("split", index.splits);
  options("lang", index.langs);
  m3h.suggest("phrases", index.names, index.phrases);
  options("reason", (await load("dropped", "index")).reasons);
}

$("kind").addEventListener("change", change);
m3h.begin(() => fill().then(change));
})();
