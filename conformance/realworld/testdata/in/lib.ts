export function readable(level: number): string { return level > 2 ? "loud" : "quiet"; }
export function never(): never { throw new Error("tree shaking leaves me out"); }
