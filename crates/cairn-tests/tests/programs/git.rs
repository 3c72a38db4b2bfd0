//! Claim: git makes, clones, packs and checks a repository with the same objects and the same words.

use cairn_tests::compare::Case;
use cairn_tests::programs;

/// Everything that git would take from the clock or the machine is fixed, so that equal work gives equal hashes.
const SCRIPT: &str = r#"
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
export GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
git -c init.defaultBranch=main init -q source
cd source
git config pack.threads 1
git config gc.auto 0
for i in $(seq 1 40); do
    export GIT_AUTHOR_DATE="2024-01-01T00:$((i % 60)):00Z" GIT_COMMITTER_DATE="2024-01-01T00:$((i % 60)):00Z"
    mkdir -p "d$((i % 7))"
    seq "$i" $((i * 150)) > "d$((i % 7))/f$i"
    seq 1 $((i * 20)) > growing
    git add -A
    git commit -q -m "commit $i"
    if [ $((i % 10)) = 0 ]; then git branch "b$i"; git tag -a -m "tag $i" "t$i"; fi
done
git checkout -q b20
echo side > side; git add side; git commit -q -m side
git checkout -q main
git merge -q -m merge b20
git log --stat --format='%H %T %s' | tail -60
git diff --stat b10 main
git blame growing | tail -3
git grep -c 77 | head
git gc -q --aggressive --prune=now
git fsck --full --strict 2>&1
git count-objects -v | grep -v size
cd ..
git clone -q --no-local source copy 2>&1
cd copy
git rev-list --all --objects | sort
git archive --format=tar main | git hash-object --stdin
git fsck --full 2>&1
git verify-pack -v .git/objects/pack/*.idx | cut -d' ' -f1-3 | sort | tail -100
"#;

#[test]
fn a_repository_is_made_cloned_packed_and_checked() {
    let (Some(bash), Some(_)) = (programs::need("bash"), programs::need("git")) else { return };
    let _ = Case::new(bash)
        .args(["-c", SCRIPT])
        .seconds(120)
        .reaches("git")
        // Times of files, and packs whose deltas git may choose freely; objects are compared above, one by one.
        .ignore("source/.git")
        .ignore("copy/.git")
        .compare();
}
