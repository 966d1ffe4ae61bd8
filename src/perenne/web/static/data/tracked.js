// The files that the repository of this installation tracks as DVC does, and the versions that Git remembers of them.
import { html } from "../core/dom.js";
import { Card, Chip, Copy, Empty, Time } from "../core/parts.js";
import { useView } from "../core/screen.js";
import { bytes, number, plural } from "../core/format.js";
import { Name, short } from "./words.js";

export function TrackedFiles() {
  const view = useView("/api/data/tracked");
  if (view.error) return html`<${Card} title="Files under versions"><p class="dim">${view.error.message}</p><//>`;
  if (!view.data) return html`<${Card} title="Files under versions"><span class="bone"></span><//>`;
  const { root, files, total, trouble } = view.data;
  if (!root) return html`<${Card} title="Files under versions"><${Empty} title="No repository here" note="Files and folders can be kept in versions beside Git, as DVC keeps them. This makes a repository of the folder." command="perenne data init" /><//>`;
  if (trouble) return html`<${Card} title="Files under versions" note=${root}><p class="dim">${trouble}</p><//>`;
  if (!files.length) return html`<${Card} title="Files under versions" note=${root}><${Empty} title="Nothing is tracked yet" note="What is added is kept by its content, and a small file beside it is for Git." command="perenne data add FILE" /><//>`;
  return html`<${Card} title="Files under versions" note=${`${root}: ${plural(total, "file or folder", "files and folders")}`} flush=${true}>
    <div class="scroll data-tracked" tabindex="0" role="region" aria-label="Files under versions"><table class="table">
      <thead><tr>${["file", "version", "size", "files", "commit", "author", "when", "why", "used by"].map((title) => html`<th scope="col" class=${title === "size" || title === "files" ? "num" : ""}>${title}</th>`)}</tr></thead>
      <tbody>${files.flatMap((file) => file.versions.map((version, i) => html`<tr key=${`${file.path} ${i}`}>
        <td>${i ? null : html`<b><${Name} text=${file.path} /></b><div class="faint small">${file.stage ? `made by ${file.stage}` : file.metafile}</div>`}</td>
        <td>${version.digest ? html`<code title=${version.digest}>${short(version.digest)}</code>` : html`<span class="faint">none</span>`}</td>
        <td class="num">${version.size === null ? "–" : bytes(version.size)}</td>
        <td class="num">${version.files === null ? "" : number(version.files)}</td>
        <td>${version.commit ? html`<code>${short(version.commit)}</code>` : html`<${Chip} tone="info">not committed<//>`}</td>
        <td>${version.author}</td>
        <td>${version.at ? html`<${Time} at=${version.at} />` : ""}</td>
        <td class="dim">${version.subject}</td>
        <td>${version.uses.length ? version.uses.map((use) => html`<a href=${`/lineage/${encodeURIComponent(use.kind)}/${encodeURIComponent(use.id)}`}>${use.kind} ${short(use.id)}</a> `) : html`<span class="faint">nobody yet</span>`}</td>
      </tr>`))}</tbody>
    </table></div>
    ${total > files.length ? html`<div class="foot">${plural(total - files.length, "more", "more")}: <${Copy} text="perenne data list . --recursive" /></div>` : null}
  <//>`;
}
