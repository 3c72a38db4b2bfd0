//! Claim: a shell script that forks thousands of times runs as before.

use cairn_tests::compare::Case;
use cairn_tests::programs;

/// Subshells are forks without an exec: the child goes on with the parent's heap.
const SCRIPT: &str = r#"
sum=0
for i in $(seq 1 2500); do
    x=$(echo $((i * i % 97)))
    sum=$((sum + x))
done
echo "$sum"
declare -A table
for i in $(seq 1 3000); do table[k$i]=$(printf '%s' "v$i"); done
echo "${#table[@]} ${table[k77]} ${table[k2999]}"
nest() { if [ "$1" -gt 0 ]; then (nest $(($1 - 1))); else echo bottom; fi; }
nest 60
for i in 1 2 3 4 5 6 7 8; do (for j in $(seq 1 100); do y=$(echo $j); done; echo "$y" > "made.$i") & done
wait
cat made.*
seq 1 20000 | while read -r line; do case $line in *999) echo "$line";; esac; done
exit 0
"#;

#[test]
fn thousands_of_forks() {
    let Some(bash) = programs::need("bash") else { return };
    let _ = Case::new(bash).args(["forks.sh"]).file("forks.sh", SCRIPT).seconds(120).compare();
}
