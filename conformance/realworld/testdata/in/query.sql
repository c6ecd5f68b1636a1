.headers on
.mode column
CREATE TABLE city(id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT, people INTEGER CHECK (people > 0));
INSERT INTO city(name, country, people) VALUES ('Reykjavík','IS',139875),('東京','JP',13960000),('Lagos','NG',15388000),('Bergen','NO',285911),('Oslo','NO',697549);
CREATE INDEX by_country ON city(country, people DESC);
SELECT country, count(*) AS cities, sum(people) AS people, round(avg(people), 2) AS mean FROM city GROUP BY country ORDER BY people DESC;
.mode list
WITH RECURSIVE fib(n, a, b) AS (SELECT 1, 0, 1 UNION ALL SELECT n + 1, b, a + b FROM fib WHERE n < 40) SELECT n, a FROM fib WHERE n % 13 = 0;
SELECT name, rank() OVER (PARTITION BY country ORDER BY people DESC) AS r, lag(name) OVER (ORDER BY id) AS before FROM city;
SELECT json_group_array(json_object('n', name, 'p', people / 1000.0)) FROM city WHERE name GLOB '*o*';
SELECT upper(hex(zeroblob(3))), printf('%08.3f|%-6s|%x', 3.14159, 'ab', 255), 1e300 * 1e10, 9007199254740993, 1/3.0;
SELECT date('2024-02-29', '+1 year', 'start of month'), strftime('%j %W', '2024-12-31'), julianday('2000-01-01');
EXPLAIN QUERY PLAN SELECT name FROM city WHERE country = 'NO' ORDER BY people DESC;
BEGIN; UPDATE city SET people = people * 2; ROLLBACK;
INSERT INTO city(name, people) VALUES ('nowhere', -1);
CREATE TABLE big(k INTEGER PRIMARY KEY, v TEXT);
INSERT INTO big SELECT value, printf('row %d %s', value, hex(value * 2654435761)) FROM generate_series(1, 60000);
SELECT count(*), sum(length(v)), max(v) FROM big;
DELETE FROM big WHERE k % 3 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT count(*) FROM big JOIN city ON big.k % 5 = city.id;
