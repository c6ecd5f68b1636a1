// A little of everything an interpreter has to get right. It prints with print-like
// lines at the end, so that the text is the same wherever it runs.
var lines = [];
function show() { lines.push(Array.prototype.map.call(arguments, String).join(' ')); }

class Shape { constructor(n) { this.n = n; } get area() { return this.n * this.n; } static of(n) { return new this(n); } }
class Round extends Shape { get area() { return Math.round(super.area * Math.PI * 1000) / 1000; } }
show(Shape.of(3).area, Round.of(3).area, Object.getPrototypeOf(Round) === Shape);

const sieve = n => { const out = []; const no = new Uint8Array(n + 1); for (let i = 2; i <= n; i++) { if (no[i]) continue; out.push(i); for (let j = i * i; j <= n; j += i) no[j] = 1; } return out; };
const primes = sieve(20000);
show(primes.length, primes[primes.length - 1]);

show(0.1 + 0.2, 1 / 3, 1e21, -0, NaN, 123456789012345680000, (255).toString(36), parseFloat('1e-7'), (1234.5678).toFixed(2));
show(JSON.stringify({ b: [1, { c: null }], a: 'é\u2028"' }), JSON.parse('[1,2,{"x":"\\u00e9"}]')[2].x);
show('The quick brown fox'.replace(/(\w+) (\w+)/g, '$2 $1'), 'a-b_c'.split(/[-_]/), /(?<y>\d{4})-(?<m>\d\d)/.exec('on 2024-02-29').groups.m);
show([5, 1, 10].sort(), [5, 1, 10].sort((a, b) => a - b), [..."añ𝒳"].length, 'ß'.toUpperCase());
show(Array.from({ length: 5 }, (_, i) => i ** i).reduce((a, b) => a + b), [1, [2, [3, [4]]]].flat(Infinity));
try { null.x; } catch (e) { show(e instanceof TypeError); }
const m = new Map([[1, 'a'], ['1', 'b']]); show(m.size, [...m.keys()].map(k => typeof k));
const { a, ...others } = { a: 1, b: 2, c: 3 }; show(a, Object.keys(others), `${others.b + others.c}`);
show(new Date(Date.UTC(2024, 1, 29, 12)).toISOString(), Number.MAX_SAFE_INTEGER + 2);
let fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2); show(fib(14));
throw lines.join('\n');
