//! Pages of snapshots are built once for all (rule P14), and none is older than its reader may be told.

use super::*;

/// How many pages were cut so far.
fn cut(world: &World) -> usize {
    let text = world.services.metrics.text(&world.services.mirror);
    let line = text.lines().find_map(|line| line.strip_prefix("sekisho_feed_pages_cut_total "));
    line.expect("the counter").parse().unwrap()
}

/// What a replica has read of a snapshot.
#[derive(Debug, Default)]
struct Read {
    digests: Vec<Digest>,
    /// The versions of the pages.
    versions: Vec<u64>,
    /// Milliseconds, of each page.
    ages: Vec<u64>,
}

/// Reads a whole snapshot as a filter does: `since` of a later page is the version of the first.
async fn read(world: &World, replica: u8) -> Read {
    let (mut read, mut next) = (Read::default(), None);
    loop {
        let reply = world
            .reply(
                replica,
                next.as_ref().map(|(epoch, since, _)| (epoch, *since)),
                next.as_ref().map(|(.., from)| *from),
            )
            .await;
        let FeedBody::Page { version, next: from, entries, .. } = reply.body else { panic!("no page") };
        read.versions.push(version);
        read.ages.push(reply.age_ms);
        read.digests.extend(entries.iter().map(sekisho_protocol::feed::Entry::digest));
        let Some(from) = from else { return read };
        next = Some((reply.epoch, read.versions[0], from));
    }
}

async fn fill(world: &World, count: usize) -> Stamp {
    let mut last = world.ban("p0@x").await;
    for n in 1..count {
        last = world.ban(&format!("p{n}@x")).await;
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.services.mirror.stamp().as_ref() != Some(&last) {
        assert!(Instant::now() < deadline, "the copy does not come up to the feed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    last
}

#[tokio::test]
async fn p14_replicas_that_read_together_have_each_page_built_once() {
    let world = World::start().await;
    let last = fill(&world, 5_000).await;
    let before = cut(&world);
    let reads = futures_util::future::join_all((1..=12).map(|replica| read(&world, replica))).await;
    let pages = reads[0].versions.len();
    assert_eq!(pages, 5_000_usize.div_ceil(sekisho_protocol::feed::PAGE_MAX_ENTRIES));
    for read in &reads {
        assert_eq!(read.digests, reads[0].digests);
        assert!(read.versions.iter().all(|version| *version == last.version.get()));
        assert!(read.ages.iter().all(|age_ms| *age_ms <= 1_000), "it is all there is: {:?}", read.ages);
    }
    assert_eq!(reads[0].digests.len(), 5_000);
    assert_eq!(cut(&world) - before, pages);
}

#[tokio::test]
async fn p14_p3_with_writes_in_between_no_page_is_older_than_the_first_and_no_snapshot_than_its_registration() {
    let world = World::start().await;
    fill(&world, 2_500).await;
    let writing = async {
        let mut last = 0;
        for n in 0..60 {
            last = world.ban(&format!("q{n}@x")).await.version.get();
        }
        last
    };
    let reading = futures_util::future::join_all((1..=8).map(async |replica| {
        let mut reads = Vec::new();
        for _ in 0..4 {
            let registered = world.services.registry.roll().await.unwrap().version.get();
            let read = read(&world, replica).await;
            assert!(read.versions[0] >= registered, "{read:?} began at {registered}");
            reads.push(read);
        }
        reads
    }));
    let (last, reads) = tokio::join!(writing, reading);
    for read in reads.iter().flatten() {
        let first = read.versions[0];
        assert!(read.versions.iter().all(|version| *version >= first), "{:?}", read.versions);
        assert!(read.digests.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(read.digests.len() >= 2_500 && first <= last);
    }
}

#[tokio::test]
async fn p4_a_page_that_the_feed_went_on_from_is_as_old_as_the_reading_that_it_was_cut_from() {
    let world = World::start().await;
    fill(&world, 1_000).await;
    let first = world.reply(1, None, None).await;
    let FeedBody::Page { version, next: Some(from), .. } = first.body else { panic!("no first of two pages") };
    let begun = Instant::now();
    // The second page is cut; then the feed goes on, and the page is read again.
    world.reply(1, Some((&first.epoch, version)), Some(from)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let later = fill(&world, 1).await;
    let again = world.reply(2, Some((&first.epoch, version)), Some(from)).await;
    let FeedBody::Page { version: cut_at, .. } = again.body else { panic!("no page") };
    assert_eq!(cut_at, version, "it is new enough for whoever began there");
    assert!(again.age_ms >= 300 && again.age_ms <= begun.elapsed().as_millis() as u64 + 1_000, "{}", again.age_ms);
    let anew = world.reply(3, Some((&first.epoch, later.version.get())), Some(from)).await;
    let FeedBody::Page { version, .. } = anew.body else { panic!("no page") };
    assert_eq!(version, later.version.get(), "whoever began later needs a newer one");
}
