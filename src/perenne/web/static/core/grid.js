// A table of any number of rows: only those in sight exist, and windows of rows are fetched as they come into sight.
import { html, useEffect, useMemo, useRef, useState } from "./dom.js";
import { get } from "./api.js";
import { changed } from "./live.js";
import { go } from "./router.js";
import { number, plural } from "./format.js";

const WINDOW = 200;
const ROW = 28;
const BEYOND = 8;
const AT_MOST_EVERY = 2000;
const MOST_PIXELS = 30_000_000;
const MOST_KEPT = 1000;
const AHEAD = 60;
const PASSING = 60;

const byId = (row) => row.id;

/**
 * Show the rows of `source`, a path that answers `?offset=&limit=` with `{rows, total}`.
 *
 * `columns`: `[{key, title, width, num, cell(row), sort}]`, `sort` being what the server calls the order, or a function that makes them
 * of the first answer; `rowKey(row)` names a row, `rowHref(row)` says where Enter leads, if anywhere. With `onToggle(row)` rows can be
 * selected; `selected` holds the keys of those that are. `onAnswer(answer)` hears each first window, `onError(error)` what is wrong
 * with the question, null once it is right; `onMove(from, to)` that one column was dragged onto another. `pinned` keeps the first
 * column in sight, `press` holds further keys and what they do. What was shown stays until another answer is there.
 */
export function Grid({ columns: given, source, rowHref, rowKey = byId, selected, onToggle, label, sort, onSort, onMove, onAnswer, onError, pinned = false, press = {}, noun = "row", empty, height, keys: told }) {
  const box = useRef();
  const windows = useRef(new Map());
  const before = useRef(null);
  const answered = useRef(null);
  const asked = useRef("");
  const [view, setView] = useState({ top: 0, height: 600 });
  const [total, setTotal] = useState(null);
  const [error, setError] = useState(null);
  const [cursor, setCursor] = useState(0);
  const [drawn, redraw] = useState(0);
  const kept = useRef({ of: [], rows: new Map() });
  const join = source.includes("?") ? "&" : "?";

  const load = async (at, again = false) => {
    const known = windows.current.get(at);
    if (known && !(again && known !== "loading")) return;
    if (!known) windows.current.set(at, "loading");
    const mine = asked.current;
    try {
      const answer = await get(`${source}${join}offset=${at * WINDOW}&limit=${WINDOW}`);
      if (mine !== asked.current) return;
      windows.current.set(at, answer.rows);
      before.current = null;
      if (at === 0 || !answered.current) answered.current = answer;
      setTotal(answer.total);
      setError(null);
      if (at === 0) onAnswer?.(answer);
      onError?.(null);
      redraw((n) => n + 1);
    } catch (trouble) {
      if (mine !== asked.current) return;
      windows.current.delete(at);
      setError(trouble);
      onError?.(trouble);
    }
  };

  const shownRows = Math.min(total ?? 0, Math.floor(MOST_PIXELS / ROW));
  const first = Math.max(0, Math.floor(view.top / ROW) - BEYOND);
  const last = Math.min(shownRows, Math.ceil((view.top + view.height) / ROW) + BEYOND);
  const inSight = useRef([0, 0]);
  inSight.current = [Math.floor(first / WINDOW), Math.floor(Math.max(0, last - 1) / WINDOW)];

  useEffect(() => {
    asked.current = source;
    if (windows.current.size) before.current = windows.current;
    windows.current = new Map();
    if (box.current) box.current.scrollTop = 0;
    setView((old) => ({ ...old, top: 0 }));
    setCursor(0);
    load(0);
  }, [source]);
  const passed = useRef(0);
  useEffect(() => {
    const jump = Math.abs(first - passed.current);
    passed.current = first;
    const ask = () => {
      for (let at = inSight.current[0]; at <= inSight.current[1]; at++) load(at);
      const ahead = Math.floor((last + AHEAD) / WINDOW);
      if (jump < AHEAD && last + AHEAD < shownRows) load(ahead);
    };
    if (jump < AHEAD) return void ask();
    const timer = setTimeout(ask, PASSING); // what only passes by is not asked for
    return () => clearTimeout(timer);
  }, [first, last]);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setView((old) => ({ ...old, height: entry.contentRect.height })));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    let timer = 0;
    let begun = false;
    const refresh = () => {
      timer = 0;
      const [from, to] = inSight.current;
      for (const at of windows.current.keys()) if (at < from || at > to) windows.current.delete(at);
      for (let at = from; at <= to; at++) load(at, true);
    };
    const stop = changed.subscribe(() => {
      if (begun && !timer) timer = setTimeout(refresh, AT_MOST_EVERY);
      begun = true;
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [source]);

  const columns = useMemo(() => (typeof given === "function" ? (answered.current ? given(answered.current) : []) : given), [given, answered.current]);
  const rowAt = (i) => {
    const at = Math.floor(i / WINDOW);
    const rows = before.current ? before.current.get(at) : windows.current.get(at);
    return Array.isArray(rows) ? rows[i % WINDOW] : undefined;
  };
  const move = (to) => {
    const at = Math.max(0, Math.min(shownRows - 1, to));
    setCursor(at);
    const { scrollTop, clientHeight } = box.current;
    if (at * ROW < scrollTop) box.current.scrollTop = at * ROW;
    else if ((at + 2) * ROW > scrollTop + clientHeight) box.current.scrollTop = (at + 2) * ROW - clientHeight;
  };
  const page = Math.max(1, Math.floor(view.height / ROW) - 2);
  const keys = (event) => {
    if (event.target !== box.current || event.metaKey || event.ctrlKey || event.altKey) return;
    const steps = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shownRows, End: shownRows };
    const row = rowAt(cursor);
    if (event.key in steps) move(cursor + steps[event.key]);
    else if (event.key === "Enter" && row && rowHref?.(row)) go(rowHref(row));
    else if ((event.key === "x" || event.key === " ") && row && onToggle) onToggle(row);
    else if (press[event.key]) press[event.key](row);
    else return;
    event.preventDefault();
  };

  const stuck = (c) => (pinned && c === 0 ? " grid-pinned" : "");
  const template = `${onToggle ? "34px " : ""}${columns.map((column) => `minmax(${column.width || 80}px, ${column.grow || 1}fr)`).join(" ")}`;
  const wide = `max(100%, ${columns.reduce((sum, column) => sum + (column.width || 80), onToggle ? 34 : 0)}px)`; // the same for all, whatever is in them
  const rows = [];
  const same = [columns, selected, onToggle, rowHref, drawn]; // while one scrolls these stay, and so do the rows that were drawn
  if (same.some((item, i) => item !== kept.current.of[i]) || kept.current.rows.size > MOST_KEPT) kept.current = { of: same, rows: new Map() };
  for (let i = first; i < last; i++) {
    const row = rowAt(i);
    const known = kept.current.rows.get(i);
    if (known && known.row === row && known.here === (i === cursor)) {
      rows.push(known.shown);
      continue;
    }
    const key = row ? rowKey(row) : null;
    const chosen = row && selected?.has(key);
    const open = (event) => {
      setCursor(i);
      if (event.target.closest("a, button, input")) return;
      if (onToggle && row) onToggle(row);
      else if (row && rowHref?.(row)) go(rowHref(row));
    };
    const shown = html`<div key=${i} role="row" id=${`row-${i}`} aria-rowindex=${i + 2} aria-selected=${onToggle ? !!chosen : undefined}
      class=${`grid-row${chosen ? " chosen" : ""}${i === cursor ? " cursor" : ""}${row ? "" : " waiting"}`} style=${{ transform: `translateY(${i * ROW}px)`, gridTemplateColumns: template, width: wide }} onClick=${open}>
      ${onToggle ? html`<span role="gridcell" class=${pinned ? "grid-pick" : ""}><i class=${`pick${chosen ? " on" : ""}`} style=${chosen && selected.get?.(key) ? { background: selected.get(key), borderColor: selected.get(key) } : undefined}></i></span>` : null}
      ${columns.map((column, c) => html`<span role="gridcell" class=${`${column.num ? "num" : ""}${stuck(c)}`}>${row ? (c === 0 && rowHref?.(row) ? html`<a href=${rowHref(row)} tabindex="-1">${cellOf(column, row)}</a>` : cellOf(column, row)) : ""}</span>`)}
    </div>`;
    kept.current.rows.set(i, { row, here: i === cursor, shown });
    rows.push(shown);
  }
  if (total === 0 && empty && !error) return html`<div ref=${box}>${empty}</div>`;
  return html`<div class="grid" ref=${box} tabindex="0" role="grid" aria-label=${label} aria-rowcount=${total === null ? -1 : total + 1} aria-activedescendant=${last > first ? `row-${cursor}` : undefined}
      style=${height ? { height: `${height}px` } : undefined} onScroll=${(event) => setView((old) => ({ ...old, top: event.target.scrollTop }))} onKeyDown=${keys}>
      <div class="grid-head" role="row" aria-rowindex="1" style=${{ gridTemplateColumns: template, width: wide }}>
        ${onToggle ? html`<span role="columnheader" aria-label="Selected" class=${pinned ? "grid-pick" : ""}></span>` : null}
        ${columns.map((column, c) => html`<${Heading} column=${column} sort=${sort} onSort=${onSort} onMove=${onMove} className=${stuck(c)} />`)}
      </div>
      <div role="rowgroup" class="grid-body" style=${{ height: `${shownRows * ROW}px` }}>${rows}</div>
    </div>
    <div class="foot">
      <span>${error ? html`<span class="down">${error.message}</span>` : total === null ? "…" : plural(total, noun)}</span>
      ${selected?.size ? html`<span>${selected.size} selected</span>` : null}
      <span class="grow"></span>
      <span class="keys"><kbd>j</kbd> <kbd>k</kbd> move${rowHref ? html` · <kbd>↵</kbd> open` : null}${onToggle ? html` · <kbd>x</kbd> select` : null}${told}</span>
    </div>`;
}

const cellOf = (column, row) => (column.cell ? column.cell(row) : column.num ? number(row[column.key]) : row[column.key]);

function Heading({ column, sort, onSort, onMove, className }) {
  const mine = column.sort && sort?.key === column.sort;
  const order = mine ? (sort.descending ? "descending" : "ascending") : undefined;
  const title = column.title ?? column.key;
  const drag = onMove && column.movable
    ? {
        draggable: true,
        onDragStart: (event) => event.dataTransfer.setData("text/x-column", column.key),
        onDragOver: (event) => event.dataTransfer.types.includes("text/x-column") && event.preventDefault(),
        onDrop: (event) => (event.preventDefault(), onMove(event.dataTransfer.getData("text/x-column"), column.key)),
      }
    : {};
  return html`<span role="columnheader" class=${`${column.num ? "num" : ""}${className}`} aria-sort=${order} title=${column.hint} ...${drag}>
    ${column.sort && onSort
      ? html`<button class="plain" tabindex="-1" onClick=${() => onSort({ key: column.sort, descending: mine ? !sort.descending : !!column.num })}>${title}${mine ? (sort.descending ? " ↓" : " ↑") : ""}</button>`
      : title}
  </span>`;
}
