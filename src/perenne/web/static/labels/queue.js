// The items somebody has in hand: the next ones are there before they are needed, and what is said is sent while one goes on.
import { useEffect, useRef, useState } from "../core/dom.js";
import { post } from "../core/api.js";
import { toast } from "../core/toast.js";

const AHEAD = 8;
const ENOUGH = 4;
const AGAIN = 2000;

const named = () => (crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}`);

/**
 * The queue of a label set: `{ item, waiting, unsent, last, say, skip, undo }`.
 *
 * `say(value, note)` and `skip()` go on at once. What is said is sent one after the other, again if the server is away, under a name
 * that lets it be kept once; what the server refuses comes back.
 */
export function useQueue(at, order) {
  const [items, setItems] = useState([]);
  const [asked, setAsked] = useState(false);
  const [unsent, setUnsent] = useState(0);
  const [last, setLast] = useState(null);
  const hand = useRef([]);
  const gone = useRef(new Set());
  const sending = useRef(Promise.resolve());
  const asking = useRef(false);
  const dry = useRef(false);
  const alive = useRef(true);

  const show = (next) => {
    hand.current = next;
    if (alive.current) setItems(next);
  };
  const more = async () => {
    if (asking.current || dry.current || hand.current.length > ENOUGH) return;
    asking.current = true;
    try {
      await sending.current;
      const holding = hand.current.map((each) => each.item);
      const found = await post(`${at}/next`, { count: AHEAD, holding, ...(order ? { order } : {}) });
      const known = new Set(hand.current.map((each) => each.item));
      const fresh = found.items.filter((each) => !known.has(each.item) && !gone.current.has(each.item));
      dry.current = !fresh.length;
      if (alive.current) show([...hand.current, ...fresh]);
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
      if (error.status === 0 || error.status >= 500) setTimeout(() => alive.current && more(), AGAIN);
      else dry.current = true;
    }
    asking.current = false;
    if (alive.current) setAsked(true);
  };
  const send = (path, body, item) => {
    setUnsent((n) => n + 1);
    sending.current = sending.current.then(async () => {
      for (;;) {
        try {
          await post(path, body);
          break;
        } catch (error) {
          if (error.status === 0 || error.status >= 500) {
            await new Promise((done) => setTimeout(done, AGAIN));
            if (alive.current) continue;
          }
          toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
          gone.current.delete(item.item);
          show([item, ...hand.current]);
          break;
        }
      }
      if (alive.current) setUnsent((n) => n - 1);
    });
  };
  const pass = (what, body) => {
    const [item, ...rest] = hand.current;
    if (!item) return;
    gone.current.add(item.item);
    send(`${at}/${what}`, body(item.item), item);
    setLast({ item, value: what === "skip" ? null : body(item.item).labels[0].value, skipped: what === "skip" });
    show(rest);
    more();
  };
  const undo = async () => {
    await sending.current;
    try {
      const { item, undone } = await post(`${at}/undo`);
      dry.current = false;
      gone.current.delete(item.item);
      show([item, ...hand.current.filter((each) => each.item !== item.item)]);
      setLast(null);
      return undone.was;
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), error.status === 409 ? "info" : "crit");
      return null;
    }
  };

  useEffect(() => {
    alive.current = true;
    dry.current = false;
    gone.current = new Set();
    show([]);
    setAsked(false);
    more();
    return () => {
      alive.current = false;
    };
  }, [at, order]);
  useEffect(() => {
    if (!unsent) return undefined;
    const warn = (event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [unsent > 0]);
  return {
    item: items[0] ?? null,
    waiting: !items.length && !(asked && dry.current),
    unsent,
    last,
    say: (value, note) => pass("labels", (item) => ({ labels: [{ item, value, note, request: named() }] })),
    skip: () => pass("skip", (item) => ({ item })),
    undo,
  };
}
