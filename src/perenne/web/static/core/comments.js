// What people said about a thing, newest first, and a field to say something.
import { html, useState } from "./dom.js";
import { post, put, remove, visitor } from "./api.js";
import { Action, Card, Time } from "./parts.js";
import { Prose } from "./prose.js";
import { useView } from "./screen.js";
import { toast } from "./toast.js";

/** `entity` and `id` name the thing; `may` says whether whoever looks may say something. */
export function Comments({ entity, id, may = true, title = "Comments" }) {
  const at = `/api/comments/${entity}/${encodeURIComponent(id)}`;
  const view = useView(at);
  const said = view.data ?? [];
  return html`<${Card} title=${title} note=${said.length ? String(said.length) : undefined}>
    <ul class="comments">${said.map((item) => html`<${Said} key=${item.id} item=${item} reload=${view.reload} />`)}</ul>
    ${view.error ? html`<p class="dim">${view.error.message}</p>` : view.data && !said.length ? html`<p class="dim">Nobody has said anything.</p>` : null}
    ${may ? html`<${Writing} label="Say something" send=${async (text) => (await post(at, { text }), view.reload())} />` : null}
  <//>`;
}

function Said({ item, reload }) {
  const [editing, setEditing] = useState(false);
  const mine = visitor.value?.name === item.author;
  const change = async (text) => {
    await put(`/api/comments/${item.id}`, { text });
    setEditing(false);
    reload();
  };
  const takeBack = async () => {
    await remove(`/api/comments/${item.id}`);
    reload();
    return "Taken back";
  };
  return html`<li><p><b>${item.author}</b> <span class="faint"><${Time} at=${item.time} />${item.edited ? ", changed since" : ""}</span>
      ${mine && !editing ? html`<span class="comments-own"><button class="button small quiet" onClick=${() => setEditing(true)}>Change</button><${Action} small tone="quiet" label="Take back" confirm="Take this comment back? The audit trail keeps it." run=${takeBack} /></span>` : null}</p>
    ${editing ? html`<${Writing} label="Comment" first=${item.text} send=${change} cancel=${() => setEditing(false)} />` : html`<${Prose} text=${item.text} />`}</li>`;
}

/** A field of some lines that is sent with a button, or with Ctrl and Enter. */
export function Writing({ label, first = "", send, cancel, word = "Send" }) {
  const [text, setText] = useState(first);
  const [busy, setBusy] = useState(false);
  const act = async (event) => {
    event.preventDefault();
    if (!text.trim() && !first) return;
    setBusy(true);
    try {
      await send(text);
      setText("");
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
    }
    setBusy(false);
  };
  return html`<form class="writing" onSubmit=${act}>
    <textarea rows="3" aria-label=${label} placeholder=${label} value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && act(event)}></textarea>
    <div class="row end"><span class="faint small grow">Markdown</span>${cancel ? html`<button type="button" class="button small quiet" onClick=${cancel}>Cancel</button>` : null}<button class="button small" disabled=${busy}>${word}</button></div>
  </form>`;
}
