// A directed graph in layers from left to right (Sugiyama, Tagawa and Toda 1981): where its boxes stand, and the curves between them.

const SWEEPS = 4;

/**
 * Lay out boxes of one size. `ids`: in their natural order; `edges`: `[[from, to], …]` between them; `box`: `{width, height, across, up,
 * bend}`, the gaps between boxes and how much room an edge takes where it passes through a layer.
 *
 * Returns `{places, paths, width, height}`: `places` maps an id to `{x, y, layer}`, `paths` holds a path for each edge.
 */
export function layered(ids, edges, box) {
  const items = new Map(ids.map((id) => [id, { id, layer: 0, before: [], after: [] }]));
  const ends = edges.map(([from, to]) => [items.get(from), items.get(to)]);
  rank(items, ends);
  const rows = [];
  for (const item of items.values()) (rows[item.layer] ||= []).push(item);
  const layers = Array.from(rows, (row) => row || []);
  const ways = ends.map(([from, to]) => thread(from, to, layers));
  order(layers);
  const high = (item) => (item.bend ? box.bend : box.height);
  const tall = (row) => row.reduce((total, item) => total + high(item) + box.up, -box.up);
  const height = Math.max(box.height, ...layers.map(tall));
  layers.forEach((row, i) => {
    let y = (height - tall(row)) / 2;
    for (const item of row) {
      Object.assign(item, { x: i * (box.width + box.across), y });
      y += high(item) + box.up;
    }
  });
  const middle = (item) => item.y + high(item) / 2;
  return { places: items, paths: ways.map((way) => drawn(way, box.width, middle)), width: layers.length * (box.width + box.across) - box.across, height };
}

/** Give every item its layer; a circle is cut where it closes. What nothing leads to stands just before what it leads to. */
function rank(items, ends) {
  for (let pass = 0, moved = true; moved && pass <= items.size; pass++) {
    moved = false;
    for (const [from, to] of ends) {
      if (to.layer > from.layer || from.layer + 1 >= items.size) continue;
      to.layer = from.layer + 1;
      moved = true;
    }
  }
  const led = new Set(ends.map(([, to]) => to));
  for (const item of items.values()) {
    const next = ends.filter(([from]) => from === item).map(([, to]) => to.layer);
    if (next.length && !led.has(item)) item.layer = Math.max(0, Math.min(...next) - 1);
  }
}

/** Lead an edge through a bend in each layer between its ends. */
function thread(from, to, layers) {
  const way = [from];
  for (let i = from.layer + 1; i < to.layer; i++) {
    const bend = { bend: true, layer: i, before: [], after: [] };
    layers[i].push(bend);
    way.push(bend);
  }
  way.push(to);
  for (let i = 1; i < way.length; i++) {
    way[i].before.push(way[i - 1]);
    way[i - 1].after.push(way[i]);
  }
  return way;
}

/** Order each layer by where the neighbours lie, there and back. */
function order(layers) {
  layers.forEach((row) => row.forEach((item, i) => (item.place = i)));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 ? "after" : "before";
    for (const row of sweep % 2 ? [...layers].reverse() : layers) {
      for (const item of row) item.middle = item[side].length ? item[side].reduce((total, other) => total + other.place, 0) / item[side].length : item.place;
      row.sort((a, b) => a.middle - b.middle);
      row.forEach((item, i) => (item.place = i));
    }
  }
}

function drawn(way, width, middle) {
  let path = "";
  for (let i = 1; i < way.length; i++) {
    const [x1, y1, x2, y2] = [way[i - 1].x + width, middle(way[i - 1]), way[i].x, middle(way[i])];
    const bend = Math.max(10, Math.abs(x2 - x1) / 2);
    path += `${i === 1 ? "M" : "L"}${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
  }
  return path;
}
