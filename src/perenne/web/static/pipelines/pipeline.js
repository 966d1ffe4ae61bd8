// One run of a pipeline: its steps, what they took, which were there already; live while it goes on.
import { html } from "../core/dom.js";
import { duration, when } from "../core/format.js";
import { Card, Copy, Facts, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Flow, FlowState } from "./flow.js";

export default function PipelineScreen({ params, query }) {
  const view = useView(`/api/view/pipeline/${encodeURIComponent(params.run)}`);
  return html`<${Screen} title=${(data) => data.row.pipeline} view=${view} crumbs=${[["Pipelines", "/pipeline"]]} note=${(data) => html`<${FlowState} state=${data.row.state} />`}
    tools=${(data) => (data.row.run ? html`<a class="button" href=${`/runs/${data.row.run}`}>Run</a>` : null)}>
    ${({ row, flow }) => html`
      <${Flow} flow=${flow} query=${query} note=${row.state === "running" ? "live" : ""} />
      <${Card} title="About"><${Facts} rows=${[
        ["Project", row.project ? html`<a href=${`/project/${encodeURIComponent(row.project)}`}>${row.project}</a>` : null],
        ["Started", html`<${Time} at=${row.started} /> <span class="faint">${when(row.started)}</span>`],
        ["Took", row.ended ? duration(row.ended - row.started) : "not over yet"],
        ["Arguments", html`<code>${row.arguments}</code>`],
        ["Id", html`<${Copy} text=${row.id} />`],
      ]} /><//>`}
  <//>`;
}
