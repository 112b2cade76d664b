// Runs in MuJS, Duktape and Hermes: numbers, strings, closures, regular expressions, exceptions, JSON.
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
function counter() { var n = 0; return function () { return ++n; }; }
var next = counter(), primes = [], i, j;
for (i = 2; i < 200; i++) {
  for (j = 2; j * j <= i; j++) if (i % j === 0) break;
  if (j * j > i) primes.push(i);
}
print(fib(18), next(), next(), primes.length, primes[primes.length - 1]);
print([3, 1, 2].sort().join('-'), 'a-b-c'.replace(/-(.)/g, function (m, c) { return c.toUpperCase(); }));
try { null.missing; } catch (e) { print(e instanceof TypeError, e.name); }
print(JSON.stringify({ list: [1, 2.5, true, null], nested: { text: 'quote " and \u00e9' } }));
print(0.1 + 0.2, 1 / 3, Math.sqrt(2), (255).toString(16), parseInt('zz', 36));
