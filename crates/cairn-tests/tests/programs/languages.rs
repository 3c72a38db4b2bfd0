//! Claim: perl, sqlite3 and node give the same answers.

use cairn_tests::compare::Case;
use cairn_tests::programs;

const PERL: &str = r#"
use strict; use warnings;
my (%seen, @lines);
srand(7);
for my $i (1 .. 120000) { my $k = "key" . int(rand(20000)); $seen{$k} .= chr(65 + $i % 26); push @lines, "$k:$i" if $i % 3 == 0; }
print join(",", map { "$_=" . length $seen{$_} } (sort { length $seen{$b} <=> length $seen{$a} || $a cmp $b } keys %seen)[0 .. 9]), "\n";
my $text = join "\n", @lines;
my $n = () = $text =~ /^key(\d)\d*\1:/mg;
print "$n ", length $text, "\n";
(my $changed = $text) =~ s/(\d+):(\d+)/$2:$1/g;
print unpack("%32C*", $changed), "\n";
my @deep; my $p = \@deep; for (1 .. 50000) { $$p[0] = []; $p = $$p[0]; }
my @sorted = sort { $a <=> $b } map { rand() * $_ } 1 .. 100000;
printf "%.6f\n", $sorted[50000];
open my $out, ">", "made.txt" or die; print $out $changed; close $out;
"#;

#[test]
fn perl() {
    let Some(perl) = programs::need("perl") else { return };
    let _ = Case::new(perl).args(["busy.pl"]).file("busy.pl", PERL).env("PERL_HASH_SEED", "0").compare();
}

const SQL: &str = "
PRAGMA cache_size = 2000;
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, town INTEGER, note BLOB);
CREATE TABLE town(id INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO town SELECT i, 'town' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80000)
  INSERT INTO person SELECT i, 'person' || (i * 7919 % 80021), i * 31 % 500 + 1, zeroblob(i % 300) FROM n;
CREATE INDEX by_name ON person(name);
CREATE INDEX by_town ON person(town, name);
SELECT count(*), sum(length(note)), min(name), max(name) FROM person;
SELECT t.name, count(*), max(p.name) FROM person p JOIN town t ON t.id = p.town GROUP BY t.id ORDER BY 2 DESC, 1 LIMIT 10;
SELECT a.name, b.name FROM person a JOIN person b ON b.name = 'person' || (substr(a.name, 7) + 1) WHERE a.town = 17 ORDER BY a.name LIMIT 12;
UPDATE person SET name = name || '-' || town WHERE id % 5 = 0;
DELETE FROM person WHERE id % 7 = 0;
SELECT group_concat(name, ' ') FROM (SELECT name FROM person WHERE town < 4 ORDER BY name LIMIT 40);
SELECT town, rank() OVER (ORDER BY sum(length(note)) DESC, town) FROM person GROUP BY town LIMIT 8;
PRAGMA integrity_check;
";

#[test]
fn sqlite3_in_memory() {
    let Some(sqlite3) = programs::need("sqlite3") else { return };
    let _ = Case::new(sqlite3).args([":memory:", ".read work.sql"]).file("work.sql", SQL).compare();
}

#[test]
fn sqlite3_in_a_file() {
    let Some(sqlite3) = programs::need("sqlite3") else { return };
    let _ = Case::new(sqlite3).args(["made.db", ".read work.sql"]).file("work.sql", SQL).compare();
}

const NODE: &str = r#"
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), fs = require('fs');
function work(seed) {
  const map = new Map(); let x = seed;
  for (let i = 0; i < 60000; i++) { x = (x * 1103515245 + 12345) % 2147483648; map.set('k' + x % 5000, (map.get('k' + x % 5000) || '') + (x % 10)); }
  const text = JSON.stringify([...map].sort((a, b) => a[0] < b[0] ? -1 : 1));
  const back = JSON.parse(text);
  const packed = zlib.gunzipSync(zlib.gzipSync(Buffer.from(text)));
  const buffers = []; for (let i = 0; i < 300; i++) buffers.push(Buffer.alloc(i * 997, i));
  return [back.length, packed.toString() === text, crypto.createHash('sha256').update(Buffer.concat(buffers)).update(text).digest('hex')];
}
if (isMainThread) {
  console.log(work(1));
  const workers = [2, 3, 4, 5].map(n => new Promise((resolve, reject) => {
    const w = new Worker(__filename, { workerData: n }); let answer;
    w.on('message', m => answer = m); w.on('error', reject); w.on('exit', () => resolve(answer));
  }));
  Promise.all(workers).then(all => { for (const a of all) console.log(a); fs.writeFileSync('made.json', JSON.stringify(all)); console.error('done'); });
} else parentPort.postMessage(work(workerData));
"#;

#[test]
fn node() {
    let Some(node) = programs::need("node") else { return };
    let _ = Case::new(node).args(["busy.js"]).file("busy.js", NODE).seconds(90).compare();
}
