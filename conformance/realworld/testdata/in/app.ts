import { readable } from "./lib";

enum Level { Debug = 1, Info, Warn = 1 << 4 }

interface Entry<T extends object = {}> { level: Level; text: string; extra?: T }

/** Keeps the last entries. */
export class Ring<T extends object> implements Iterable<Entry<T>> {
  static #made = 0;
  private items: Entry<T>[] = [];
  constructor(private readonly size: number) { Ring.#made++; }
  push(...more: Entry<T>[]): this {
    this.items.push(...more);
    while (this.items.length > this.size) this.items.shift();
    return this;
  }
  *[Symbol.iterator]() { for (const e of this.items) yield e; }
  get last(): Entry<T> | undefined { return this.items.at(-1); }
}

export const describe = async (ring: Ring<{ id: number }>) => {
  const { last } = ring;
  if (!last) return null;
  const unused = 1 + 2 * 3;
  return `${readable(last.level)}: ${last?.text ?? "nothing"} ${last.extra?.id!.toFixed(2)}`;
};

label: for (let i = 0; i < 3; i++) { if (i === 1) continue label; console.log(Level[Level.Info], 0.1 + 0.2, 1e21, "\u00e9</script>"); }
