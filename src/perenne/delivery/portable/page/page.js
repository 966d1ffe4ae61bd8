// A model answered in the browser: reads model.json, makes a form of its inputs, runs the graph, and measures what it does here.
import * as ort from "./runtime/ort.wasm.min.mjs";

const at = (name) => new URL(name, import.meta.url).href;
const find = (id) => document.getElementById(id);
const node = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const figure = (value, digits = 4) => (Number.isInteger(value) ? String(value) : Number(value).toPrecision(digits));
const bytes = (count) => (count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`);
const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// Each kind of input: what a field holds for a value, the value it gives back, and how values become a tensor.
const KINDS = {
  number: {
    show: (value) => (value === null ? "" : String(value)),
    read: (text) => (text === "" ? null : Number(text)),
    tensor: (values) => new ort.Tensor("float64", Float64Array.from(values, (value) => value ?? NaN), [values.length]),
  },
  time: {
    show: (value) => (value === null ? "" : new Date(value * 1e3).toISOString().slice(0, 19)),
    read: (text) => (text === "" ? null : Date.parse(`${text}Z`) / 1e3),
    tensor: (values) => KINDS.number.tensor(values),
  },
  category: {
    show: (value) => value ?? "",
    read: (text) => (text === "" ? null : text),
    tensor: (values, input) => new ort.Tensor("string", values.map((value) => value ?? input.missing), [values.length]),
  },
};

const fetched = async (name) => {
  const answer = await fetch(at(name));
  if (!answer.ok) throw new Error(`${name} is missing (${answer.status})`);
  return answer;
};

const load = async () => {
  const [model, example] = await Promise.all(["model.json", "example.json"].map(async (name) => (await fetched(name)).json()));
  const data = new Uint8Array(await (await fetched("model.onnx")).arrayBuffer());
  const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (digest !== model.digest) throw new Error("model.onnx is not the file that was packaged");
  ort.env.wasm.wasmPaths = at("runtime/");
  ort.env.wasm.numThreads = 1;
  const start = performance.now();
  const session = await ort.InferenceSession.create(data, { executionProviders: ["wasm"] });
  return { model, example, session, size: data.length, loaded: performance.now() - start };
};

// Answer rows given by column; predictions, and probabilities row by row if there are classes.
const answer = async ({ model, session }, columns) => {
  const feeds = Object.fromEntries(model.inputs.map((input) => [input.name, KINDS[input.kind].tensor(columns[input.name], input)]));
  const { prediction, probabilities } = await session.run(feeds);
  const predictions = Array.from(prediction.data, (value) => (prediction.type === "bool" ? Boolean(value) : typeof value === "bigint" ? Number(value) : value));
  const width = model.classes.length;
  const rows = probabilities && predictions.map((_, row) => Array.from(probabilities.data.slice(row * width, (row + 1) * width)));
  return { predictions, probabilities: rows };
};

const field = (input) => {
  const name = `input-${input.name}`;
  if (input.kind === "category" && input.levels.length && input.levels.length <= 60) {
    return node("select", { name }, node("option", { value: "", textContent: "(missing)" }), ...input.levels.map((level) => node("option", { value: level, textContent: level })));
  }
  const type = { number: "number", time: "datetime-local", category: "text" }[input.kind];
  return node("input", { name, type, step: input.kind === "time" ? "1" : "any" });
};

const fields = new Map();

const fill = ({ model, example }, row) => {
  for (const input of model.inputs) fields.get(input.name).value = KINDS[input.kind].show(example.inputs[input.name][row]);
};

const show = async (loaded) => {
  const { model } = loaded;
  const columns = Object.fromEntries(model.inputs.map((input) => [input.name, [KINDS[input.kind].read(fields.get(input.name).value)]]));
  const start = performance.now();
  const { predictions, probabilities } = await answer(loaded, columns);
  find("took").textContent = `in ${(performance.now() - start).toFixed(2)} ms`;
  find("answer").textContent = typeof predictions[0] === "number" ? figure(predictions[0], 6) : String(predictions[0]);
  find("shares").replaceChildren(...(probabilities?.[0] ?? []).flatMap((share, at) => [
    node("dt", { textContent: String(model.classes[at]) }),
    node("dd", { className: "bar" }, node("meter", { value: share, max: 1, ariaLabel: String(model.classes[at]) }), (100 * share).toFixed(1) + " %"),
  ]));
};

// Answer the example rows, together and one by one: how far from the version's own answers, and how long one row takes.
const measure = async (loaded) => {
  const { model, example } = loaded;
  const found = await answer(loaded, example.inputs);
  const scale = Math.max(1, ...(example.probabilities ? [] : example.predictions.map(Math.abs)));
  const apart = example.probabilities
    ? found.probabilities.flatMap((row, at) => row.map((value, column) => Math.abs(value - example.probabilities[at][column])))
    : found.predictions.map((value, at) => Math.abs(value - example.predictions[at]) / scale);
  const rows = found.predictions.length;
  const differing = example.probabilities ? found.predictions.filter((value, at) => value !== example.predictions[at]).length : 0;
  const times = [];
  for (let call = 0; call < 100; call += 1) {
    const row = Object.fromEntries(model.inputs.map((input) => [input.name, [example.inputs[input.name][call % rows]]]));
    const start = performance.now();
    await answer(loaded, row);
    times.push(performance.now() - start);
  }
  return { rows, differing, largest_difference: Math.max(...apart), median_ms: middle(times), load_ms: loaded.loaded, graph_bytes: loaded.size };
};

const report = (measured, model) => {
  const lines = {
    "Graph": `${bytes(measured.graph_bytes)}, ${model.precision}`,
    "Opened in": `${measured.load_ms.toFixed(0)} ms`,
    "One row, median": `${measured.median_ms.toFixed(2)} ms`,
    "Example rows answered alike": `${measured.rows - measured.differing} of ${measured.rows}`,
    "Largest difference": measured.largest_difference.toExponential(1),
  };
  find("measured").replaceChildren(...Object.entries(lines).flatMap(([name, value]) => [node("dt", { textContent: name }), node("dd", { textContent: value })]));
  document.documentElement.dataset.measured = JSON.stringify(measured);
};

const main = async () => {
  const loaded = await load();
  const { model, example } = loaded;
  document.title = `${model.name}@${model.version}`;
  find("name").textContent = document.title;
  find("about").textContent = `Answers ${model.target}: ${model.task}${model.classes.length ? `, ${model.classes.join(", ")}` : ""}`;
  find("target").textContent = model.target;
  for (const input of model.inputs) {
    fields.set(input.name, field(input));
    find("inputs").append(node("label", {}, node("span", { textContent: input.name }), fields.get(input.name)));
  }
  let row = 0;
  fill(loaded, row);
  find("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    show(loaded).catch(fail);
  });
  find("next").addEventListener("click", () => {
    row = (row + 1) % example.predictions.length;
    fill(loaded, row);
    show(loaded).catch(fail);
  });
  for (const button of document.querySelectorAll("button")) button.disabled = false;
  await show(loaded);
  report(await measure(loaded), model);
};

const fail = (error) => {
  find("problem").textContent = `The model cannot answer: ${error.message}`;
  find("problem").hidden = false;
};

main().catch(fail);
