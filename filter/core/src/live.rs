//! Streams that were admitted and are not over yet, so that what bars them ends them (rule P12).
//!
//! Nothing is indexed: a request would pay for that, and news is rare. Each piece of news is compared
//! with all streams once, before the poll that acknowledges it is sent. A digest that two subjects share
//! would cut a stream of the other one, whose client asks again and is let in: nobody is refused for it.

use std::rc::Rc;

use sekisho_protocol::Digest;

use crate::check::RequestId;
use crate::config::Policy;
use crate::denylist::Denylist;
use crate::feed::News;
use crate::id_map::IdMap;
use crate::identity::{Identity, Verified};
use crate::route::RouteId;

/// The streams of one worker. Bounded by what the host lets in.
#[derive(Debug, Default)]
pub struct Live {
    streams: IdMap<RequestId, Stream>,
    /// The Unix second in which ends were looked for last: they have no finer grain.
    looked_at_s: u64,
}

/// An admitted stream of a rule that wants it cut.
#[derive(Debug)]
pub struct Stream {
    /// Under which policy it was admitted.
    pub policy: Rc<Policy>,
    /// Its rule.
    pub route: RouteId,
    /// By what it was admitted.
    pub verified: Rc<Verified>,
    /// What it showed besides.
    pub also: Vec<Rc<Verified>>,
}

impl Stream {
    fn credentials(&self) -> impl Iterator<Item = &Rc<Verified>> {
        std::iter::once(&self.verified).chain(&self.also)
    }
}

impl Live {
    /// A stream was admitted.
    pub fn begin(&mut self, id: RequestId, stream: Stream) {
        self.streams.insert(id, stream);
    }

    /// A stream is over.
    pub fn end(&mut self, id: RequestId) {
        self.streams.remove(&id);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Takes out the streams that `news` concerns and the denylist now bars.
    pub fn take_barred(&mut self, news: &News, denylist: &Denylist, now_s: u64) -> Vec<(RequestId, Stream)> {
        let is_barred = |identity: &Identity| denylist.bar(identity, now_s).is_some();
        match news {
            News::Everything => self.take(is_barred),
            News::Of(digests) if digests.is_empty() => Vec::new(),
            News::Of(digests) => {
                let mut digests = digests.clone();
                digests.sort_unstable();
                self.take(|identity| concerns(identity, &digests) && is_barred(identity))
            }
        }
    }

    /// Takes out the streams whose credential has ended.
    pub fn take_ended(&mut self, now_s: u64) -> Vec<(RequestId, Stream)> {
        if self.looked_at_s == now_s {
            return Vec::new();
        }
        self.looked_at_s = now_s;
        self.take(|identity| identity.refused_from <= now_s)
    }

    /// Takes out the streams whose token's key was withdrawn.
    pub fn take_withdrawn(&mut self) -> Vec<(RequestId, Stream)> {
        self.streams.extract_if(|_, stream| stream.credentials().any(|shown| shown.key.is_withdrawn())).collect()
    }

    /// Takes out the streams whose rule does not let pass what cannot be checked: for a worker that has heard
    /// nothing for long.
    pub fn take_unheard(&mut self) -> Vec<(RequestId, Stream)> {
        self.streams.extract_if(|_, stream| stream.policy.routes.get(stream.route).fences()).collect()
    }

    fn take(&mut self, ends: impl Fn(&Identity) -> bool) -> Vec<(RequestId, Stream)> {
        self.streams.extract_if(|_, stream| stream.credentials().any(|shown| ends(&shown.identity))).collect()
    }
}

fn concerns(identity: &Identity, sorted: &[Digest]) -> bool {
    let of_subject = [identity.subject_digest, identity.not_before_digest].map(Some);
    let digests = of_subject.into_iter().chain([identity.token_digest, identity.sign_in_digest]);
    digests.flatten().any(|digest| sorted.binary_search(&digest).is_ok())
}
