//! `docs/identity.md` shows the examples that the stories run, to the letter.

use std::fs;

use anyhow::Result;
use e2e::components::repository;

#[test]
fn the_examples_on_the_page_are_the_files_that_the_stories_run() -> Result<()> {
    let docs = repository().join("docs");
    let page = fs::read_to_string(docs.join("identity.md"))?;
    let mut shown = 0;
    for entry in fs::read_dir(docs.join("examples/verify-identity"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let link = format!("[`{name}`](examples/verify-identity/{name})\n\n```");
        let block = page.split_once(&link).and_then(|(_, rest)| rest.split_once('\n')).map(|(_, rest)| rest);
        let text = block.and_then(|block| block.split("```").next()).unwrap_or_default();
        assert_eq!(text, fs::read_to_string(&path)?, "docs/identity.md does not show {name} as it is");
        shown += 1;
    }
    assert_eq!(shown, 4, "an example each in Python, Node, Rust and Go");
    Ok(())
}
