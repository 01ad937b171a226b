// Shows /openapi.json and sends requests. Text from the document and from answers becomes text nodes only, never markup.

const METHODS = ["get", "post", "put", "delete"];
const LINES_SHOWN = 200;

/** An element with properties and children; a string is a text. */
function el(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text in which `this` is code. */
function prose(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

// ---- Schemas

let schemas = {};

function resolve(schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, schema: schemas[name] ?? {} } : { name: null, schema: schema ?? {} };
}

/** What a schema is, in a few words; names of other schemas are links to them. */
function typeOf(schema) {
  const name = schema?.$ref?.split("/").pop();
  if (name) return [el("a", { href: `#schema-${name}`, className: "mono" }, name)];
  const either = schema?.anyOf ?? schema?.oneOf;
  if (either?.every((one) => "const" in one)) return [either.map((one) => JSON.stringify(one.const)).join(" | ")];
  if (either) return either.flatMap((one, index) => (index ? [" or ", ...typeOf(one)] : typeOf(one)));
  if (schema && "const" in schema) return [JSON.stringify(schema.const)];
  if (schema?.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" | ")];
  if (schema?.type === "array") return ["list of ", ...typeOf(schema.items)];
  if (schema?.additionalProperties?.$ref || schema?.additionalProperties?.type) {
    return ["object of ", ...typeOf(schema.additionalProperties)];
  }
  const type = [schema?.type ?? "anything"].flat().join(" or ");
  return [schema?.format ? `${type} (${schema.format})` : type];
}

function fieldTable(schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    el("tr", {},
      el("td", {},
        el("code", { className: required.has(name) ? "" : "optional" }, name),
        el("span", { className: "type" }, ...typeOf(field))),
      el("td", {}, ...prose(field.description ?? resolve(field).schema.description))));
  return el("table", {}, el("tbody", {}, ...rows));
}

/** Everything there is to say about a schema: its fields, its variants, or what it is. */
function describe(schema) {
  const { schema: resolved } = resolve(schema);
  if (resolved.properties) return [fieldTable(resolved)];
  const variants = resolved.oneOf ?? resolved.anyOf;
  if (variants?.some((one) => resolve(one).schema.properties)) {
    return variants.flatMap((one) => {
      const variant = resolve(one).schema;
      const tag = variant.properties?.type?.const ?? resolve(one).name ?? "";
      return [el("p", { className: "variant" }, tag, tag && variant.description ? ": " : "", ...prose(variant.description)), fieldTable(variant)];
    });
  }
  return [el("p", {}, ...typeOf(resolved))];
}

/** A value that a request might hold. The names are people everybody knows. */
function example(schema, name = "", depth = 0) {
  const { name: type, schema: resolved } = resolve(schema);
  const known = {
    sender: "alice", destination: "bob", user: "bob", name: "alice", message: "Hello!", body: "Hello!", client_id: crypto.randomUUID?.() ?? "my-1",
    conversation: "dm:alice:bob", address: "127.0.0.1:5000", seq: 1, value: "anything",
  };
  if (name in known) return known[name];
  if (type === "Metadata" || depth > 4) return {};
  if (resolved.default !== undefined) return resolved.default;
  const one = resolved.enum?.[0] ?? resolved.oneOf?.[0]?.const;
  if (one !== undefined) return one;
  if (resolved.type === "array") return [example(resolved.items, "", depth + 1)];
  if (resolved.properties) {
    const required = (resolved.required ?? []).map((field) => [field, example(resolved.properties[field], field, depth + 1)]);
    return Object.fromEntries(required);
  }
  return "";
}

// ---- Operations

function aboutOperation(operation) {
  const parts = [];
  const parameters = operation.parameters ?? [];
  if (parameters.length) {
    const rows = parameters.map((one) =>
      el("tr", {},
        el("td", {}, el("code", { className: one.required ? "" : "optional" }, one.name), el("span", { className: "type" }, `in the ${one.in}`)),
        el("td", {}, ...prose(one.description))));
    parts.push(el("h4", {}, "Parameters"), el("table", {}, el("tbody", {}, ...rows)));
  }
  const body = operation.requestBody?.content["application/json"].schema;
  if (body) parts.push(el("h4", {}, "Body · ", ...typeOf(body)), ...describe(body));
  const [kind, answer] = Object.entries(operation.responses["200"]?.content ?? {})[0] ?? [];
  if (answer) {
    const title = kind === "application/json" ? "Answer · " : "Answer · one line each · ";
    parts.push(el("h4", {}, title, ...typeOf(answer.schema)), ...describe(answer.schema));
  }
  const problems = Object.entries(operation.responses).filter(([code]) => code !== "200");
  if (problems.length) {
    const lines = problems.map(([code, one]) => el("p", {}, el("span", { className: "code" }, code), ...prose(one.description)));
    parts.push(el("h4", {}, "Problems"), el("div", { className: "responses" }, ...lines));
  }
  return parts;
}

function inputsOf(operation) {
  const inputs = (operation.parameters ?? []).map((one) => {
    const preset = { user: "bob", id: "dm:alice:bob", owner: "openai", key: "alice" }[one.name] ?? "";
    const input = el("input", { name: one.name, required: Boolean(one.required), value: one.required ? preset : "", autocomplete: "off" });
    input.dataset.in = one.in;
    return el("label", { className: "field" }, one.name, input);
  });
  const body = operation.requestBody?.content["application/json"].schema;
  if (body) {
    const text = JSON.stringify(example(body), null, 2);
    inputs.push(el("label", { className: "field" }, "body", el("textarea", { name: "$body", value: text, spellcheck: false })));
  }
  return inputs;
}

function urlFrom(path, form) {
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(input.name, input.value);
  }
  return query.size ? `${path}?${query}` : path;
}

/** Sends what the form holds, and shows the answer as it comes: the feed never ends, so there is a way to stop. */
async function send(method, path, form) {
  const status = form.querySelector(".status");
  const result = form.querySelector(".result");
  const stop = form.querySelector(".stop");
  const aborter = new AbortController();
  const headers = {};
  const token = document.querySelector("#token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  const body = form.elements.$body?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  stop.onclick = () => aborter.abort();
  stop.hidden = false;
  result.hidden = true;
  result.textContent = "";
  status.className = "status";
  status.textContent = "Waiting…";
  const begun = performance.now();
  try {
    const response = await fetch(urlFrom(path, form), { method: method.toUpperCase(), headers, body, signal: aborter.signal });
    status.classList.toggle("bad", !response.ok);
    status.textContent = `${response.status} after ${Math.round(performance.now() - begun)} ms`;
    result.hidden = false;
    await show(response, result);
  } catch (error) {
    if (error.name === "AbortError") return;
    status.classList.add("bad");
    status.textContent = `No answer: ${error.message}`;
  } finally {
    stop.hidden = true;
  }
}

async function show(response, result) {
  if (!response.headers.get("content-type")?.includes("ndjson")) {
    const text = await response.text();
    try {
      result.textContent = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      result.textContent = text;
    }
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    text = (text + chunk.value).split("\n").slice(-LINES_SHOWN).join("\n");
    result.textContent = text;
    result.scrollTop = result.scrollHeight;
  }
}

function operationCard(method, path, operation) {
  const card = document.querySelector("#operation").content.firstElementChild.cloneNode(true);
  const set = (selector, text) => { card.querySelector(selector).textContent = text; };
  card.id = operation.operationId;
  card.dataset.text = `${method} ${path} ${operation.summary} ${operation.description}`.toLowerCase();
  set(".method", method.toUpperCase());
  card.querySelector(".method").classList.add(method);
  set(".path", path);
  set(".short", operation.summary);
  card.querySelector(".long").append(...prose(operation.description));
  card.querySelector(".about").append(...aboutOperation(operation));
  card.querySelector(".inputs").append(...inputsOf(operation));
  const form = card.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method, path, form);
  });
  return card;
}

// ---- The page

function render(api) {
  schemas = api.components.schemas;
  document.querySelector("#title").replaceChildren(api.info.title, el("small", {}, api.info.version));
  document.querySelector("#about").replaceChildren(...prose(api.info.description));
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      const operation = item[method];
      const group = operation.tags?.[0] ?? "Operations";
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(operationCard(method, path, operation));
    }
  }
  const main = document.querySelector("#main");
  for (const [title, cards] of groups) main.append(el("section", {}, el("h2", {}, title), ...cards));
  const cards = Object.entries(schemas).map(([name, schema]) => {
    const about = el("div", {}, schema.description ? el("p", {}, ...prose(schema.description)) : null, ...describe(schema));
    const card = el("details", { className: "schema", id: `schema-${name}` }, el("summary", {}, el("code", {}, name)), about);
    card.dataset.text = name.toLowerCase();
    return card;
  });
  main.append(el("section", {}, el("h2", {}, "Schemas"), ...cards));
  main.append(el("p", { className: "nothing", id: "nothing", hidden: true }, "Nothing here has that in it."));
}

/** A link to something closed opens it. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView({ block: "nearest" });
  }
}

function find(text) {
  let found = 0;
  for (const card of document.querySelectorAll("main details")) {
    card.hidden = !card.dataset.text.includes(text);
    found += card.hidden ? 0 : 1;
  }
  for (const section of document.querySelectorAll("main section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
  document.querySelector("#nothing").hidden = found > 0;
}

async function start() {
  const token = document.querySelector("#token");
  token.value = sessionStorage.getItem("token") ?? "";
  token.addEventListener("input", () => sessionStorage.setItem("token", token.value));
  document.querySelector("#find").addEventListener("input", (event) => find(event.target.value.trim().toLowerCase()));
  addEventListener("hashchange", openTarget);
  try {
    const response = await fetch("/openapi.json");
    render(await response.json());
    openTarget();
  } catch (error) {
    document.querySelector("#about").textContent = `The document cannot be read: ${error.message}`;
  }
}

start();
