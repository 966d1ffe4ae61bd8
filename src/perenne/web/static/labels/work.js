// The page on which people label: one item after the other, by keyboard, without waiting.
import { html, useRef, useState } from "../core/dom.js";
import { Card, Choice, Empty, Meter } from "../core/parts.js";
import { Prose } from "../core/prose.js";
import { setQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { count, plural } from "../core/format.js";
import { Answer, commandOf, useKeys } from "./answers.js";
import { useQueue } from "./queue.js";
import { Item, ORDERS, hrefOf, said } from "./words.js";

export default function WorkScreen({ params, query }) {
  const at = encodeURIComponent(params.set);
  const view = useView(`/api/view/label/${at}/work`);
  return html`<${Screen} title=${params.set} crumbs=${[["Labels", "/label"], [params.set, hrefOf(params.set)]]} view=${view}
    tools=${() => html`<${Choice} name="order" label="Order" value=${query.order || ""} options=${ORDERS} />`}>
    ${(data) => html`<${Work} data=${data} at=${`/api/label/${at}`} order=${query.order || ""} key=${query.order || ""} />`}
  <//>`;
}

function Work({ data, at, order }) {
  const queue = useQueue(at, order);
  const [note, setNote] = useState(null);
  const [told, setTold] = useState("");
  const [open, setOpen] = useState(false);
  const box = useRef();
  const field = useRef();
  const { definition, progress } = data;
  const { item } = queue;
  const go = (words, act) => {
    act();
    setNote(null);
    setTold(words);
  };
  const commands = {
    skip: () => item && go("Skipped", queue.skip),
    undo: async () => {
      const was = await queue.undo();
      if (was) setTold(was === "skipped" ? "Not skipped any more" : "Taken back");
    },
    note: () => {
      box.current.hidden = false;
      field.current.focus();
      setNote((now) => now ?? "");
    },
    instructions: () => setOpen((now) => !now),
  };
  useKeys((event) => {
    if (event.key === "Escape" && event.target === field.current) {
      field.current.blur();
      return true;
    }
    const name = commandOf(event);
    if (!name || event.repeat) return false;
    commands[name]();
    return true;
  });
  const say = (value) => go(`Kept: ${said(value)}`, () => queue.say(value, note ?? ""));
  return html`<p class="sr-only" role="status">${told}</p>
    <${Progress} progress=${progress} queue=${queue} told=${told} />
    <div class="label-work">
      <${Card} className="label-seen">${item ? html`<${Suggestion} item=${item} /><${Item} item=${item} definition=${definition} />` : html`<${Nothing} queue=${queue} data=${data} order=${order} />`}<//>
      <${Card} className="label-said">
        ${item ? html`<${Answer} definition=${definition} item=${item} say=${say} />` : null}
        <label class="label-note" ref=${box} hidden=${note === null}>Note<textarea rows="2" ref=${field} value=${note ?? ""} maxlength="2000" onInput=${(event) => setNote(event.target.value)}></textarea><span class="faint small">Escape goes back to the item; the note is kept with the answer.</span></label>
        <div class="row label-tools">
          <button class="button small" disabled=${!item} aria-keyshortcuts="s" onClick=${commands.skip}><kbd>s</kbd> Skip</button>
          <button class="button small" aria-keyshortcuts="u" onClick=${commands.undo}><kbd>u</kbd> Undo</button>
          <button class="button small" disabled=${!item} aria-keyshortcuts="n" onClick=${commands.note}><kbd>n</kbd> Note</button>
          ${definition.instructions ? html`<button class="button small" aria-keyshortcuts="i" aria-expanded=${open ? "true" : "false"} onClick=${commands.instructions}><kbd>i</kbd> Instructions</button>` : null}
        </div>
        ${open && definition.instructions ? html`<div class="label-instructions"><${Prose} text=${definition.instructions} /></div>` : null}
      <//>
    </div>`;
}

function Progress({ progress, queue, told }) {
  const ready = progress.done + progress.decided;
  const words = `${count(ready)} of ${plural(progress.items, "item")}`;
  return html`<div class="row label-progress"><span>${words}</span><${Meter} label=${`${words} labelled`} parts=${[{ share: progress.items ? ready / progress.items : 0, tone: "ok" }]} />
    <span class="faint">${count(progress.mine)} by you</span>
    ${queue.unsent ? html`<span class="state warn small"><i class="dot warn"></i>${count(queue.unsent)} on the way</span>` : null}
    <span class="grow"></span><span class="dim small label-told" aria-hidden="true">${told}</span></div>`;
}

const Suggestion = ({ item }) => (item.suggested === null || item.suggested === undefined ? null : html`<p class="state warn label-hint"><i class="dot warn"></i>A model that did not see this row says ${said(item.suggested)}.</p>`);

function Nothing({ queue, data, order }) {
  if (queue.waiting) return html`<p class="dim" role="status">Fetching items…</p>`;
  const { progress, may_decide: may, name } = data;
  return html`<${Empty} title="Nothing is left for you here" note=${order ? "Another order may have more." : progress.open ? "What is open is in the hands of others, or you have seen it." : "Every item has the opinions that were asked for."} />
    <div class="row">${order ? html`<button class="button" onClick=${() => setQuery({ order: null })}>The order stated</button>` : null}
      ${may && progress.disputed ? html`<a class="button primary" href=${hrefOf(name, "/decide")}>Decide ${plural(progress.disputed, "item")}</a>` : null}
      <a class="button" href=${hrefOf(name)}>Back to ${name}</a></div>`;
}
