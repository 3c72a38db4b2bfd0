CREATE TABLE stone(id INTEGER PRIMARY KEY, name TEXT, weight INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO stone SELECT i, 'stone ' || i, i * 7919 % 1009 FROM n;
CREATE INDEX by_weight ON stone(weight, name);
SELECT weight / 100, count(*), group_concat(name) FROM stone GROUP BY 1 ORDER BY 2;
UPDATE stone SET name = name || ' moved' WHERE weight % 7 = 0;
DELETE FROM stone WHERE weight % 3 = 0;
SELECT a.name, b.name FROM stone a JOIN stone b ON a.weight = b.weight AND a.id < b.id ORDER BY a.weight LIMIT 20;
