// Every screen and its address; a screen's module is loaded when somebody goes there. The menu shows only what has a screen.
export const screens = [
  ["/", () => import("../screens/fleet.js")],
  ["/project", () => import("../screens/projects.js")],
  ["/project/:project", () => import("../screens/project.js")],
  ["/pipeline", () => import("../pipelines/pipelines.js")],
  ["/pipeline/:run", () => import("../pipelines/pipeline.js")],
  ["/experiments", () => import("../tracking/experiments.js")],
  ["/runs", () => import("../tracking/runs.js")],
  ["/runs/compare", () => import("../tracking/compare.js")],
  ["/runs/:run", () => import("../tracking/run.js")],
  ["/model", () => import("../registry/models.js")],
  ["/model/:model", () => import("../screens/model.js")],
  ["/gate", () => import("../delivery/versions.js")],
  ["/gate/:version", () => import("../delivery/gate.js")],
  ["/deploy", () => import("../screens/deployments.js")],
  ["/deploy/:deployment", () => import("../screens/deployment.js")],
  ["/monitor", () => import("../monitoring/monitors.js")],
  ["/monitor/:deployment", () => import("../screens/monitor.js")],
  ["/alert", () => import("../monitoring/alerts.js")],
  ["/alert/:alert", () => import("../monitoring/alerts.js")],
  ["/policy", () => import("../automation/policies.js")],
  ["/policy/:episode", () => import("../automation/episode.js")],
  ["/policy/:project/backtest", () => import("../automation/backtest.js")],
  ["/audit", () => import("../auth/audit.js")],
  ["/job", () => import("../screens/jobs.js")],
  ["/settings", () => import("../screens/settings.js")],
  ["/data", () => import("../data/datasets.js")],
  ["/data/snapshot/:id", () => import("../data/dataset.js")],
  ["/data/:dataset*", () => import("../data/dataset.js")],
  ["/label", () => import("../labels/sets.js")],
  ["/label/:set", () => import("../labels/set.js")],
  ["/label/:set/work", () => import("../labels/work.js")],
  ["/label/:set/decide", () => import("../labels/decide.js")],
  ["/why", () => import("../screens/why.js")],
  ["/why/:prediction", () => import("../screens/explained.js")],
  ["/lineage", () => import("../screens/lineages.js")],
  ["/lineage/:kind/:id*", () => import("../screens/lineage.js")],
];

const MENU = [
  [null, [["/", "home", "Fleet"]]],
  [
    "Build",
    [
      ["/project", "project", "Projects"],
      ["/data", "data", "Datasets"],
      ["/label", "label", "Labels"],
      ["/pipeline", "pipeline", "Pipelines"],
      ["/experiments", "experiment", "Experiments"],
      ["/runs", "runs", "Runs"],
      ["/model", "model", "Models"],
    ],
  ],
  [
    "Operate",
    [
      ["/gate", "gate", "Deliver"],
      ["/deploy", "deploy", "Deployments"],
      ["/monitor", "monitor", "Monitors"],
      ["/alert", "alert", "Alerts"],
      ["/policy", "policy", "Episodes"],
      ["/job", "job", "Jobs"],
    ],
  ],
  [
    "Answer",
    [
      ["/why", "why", "Why"],
      ["/lineage", "lineage", "Lineage"],
      ["/audit", "audit", "Audit"],
    ],
  ],
];

const known = new Set(screens.map(([path]) => path));

/** The menu: groups of `[path, icon, title]`. */
export const menu = MENU.map(([title, items]) => [title, items.filter(([path]) => known.has(path))]).filter(([, items]) => items.length);

/** Pages that the palette offers beside the menu. */
export const more = [["/settings", "settings", "Settings"]].filter(([path]) => known.has(path));
