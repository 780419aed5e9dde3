//! From `hello` to a session: version, name, token, and the session to continue.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::{
    Auth, ErrorCode, HelloOk, Limits, PROTOCOL, PeerId, Permission, Resume, ResumeToken, ServerMessage,
    SessionId, Throttle,
};
use super::{
    Address, Carrier, Command, Host, LinkId, LinkState, Refusal, Rooms, Session, Timer, message_bucket,
};

impl<H: Host> Rooms<H> {
    /// Answers `hello`.
    pub(super) fn greet(
        &mut self,
        link: LinkId,
        protocol: &str,
        auth: &Auth,
        resume: Option<Resume>,
        now: Instant,
    ) -> Result<(), Refusal> {
        if protocol != PROTOCOL {
            let shown: String = protocol.chars().take(32).collect();
            let message = format!("this server speaks {PROTOCOL}, not {shown:?}; update the older side");
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
        let name = checked_name(auth.name())?;
        let ip = self.links[&link].ip;
        let permissions = self.log_in(ip, auth, now)?;
        let resumed = resume.and_then(|resume| self.reattach(link, &resume, now));
        let (peer, last_seq) = match resumed {
            Some((peer, last_seq)) => (peer, Some(last_seq)),
            None => (self.open_session(link, ip, name, permissions, now)?, None),
        };
        let link_state = &mut self.links.get_mut(&link).expect("the link greets").state;
        if let LinkState::Greeting { deadline, .. } = *link_state {
            self.timers.remove(&(deadline, Timer::Hello(link)));
        }
        *link_state = LinkState::Bound(peer);

        let (ice_servers, ice_expires) = self.host.ice_servers(peer, link);
        let session = self.sessions.get_mut(&peer).expect("just attached");
        let hello_ok = HelloOk {
            session: session.id,
            resume_token: session.token,
            peer_id: peer,
            resumed: last_seq.is_some(),
            last_seq: session.received,
            heartbeat_ms: self.config.limits.heartbeat_ms,
            ice_servers,
            ice_expires,
        };
        let missed = last_seq.map(|seq| session.kept_after(seq)).unwrap_or_default();
        self.send_on(link, ServerMessage::HelloOk(hello_ok));
        self.commands.extend(missed.into_iter().map(|text| Command::Send { link, text }));
        if last_seq.is_some() {
            self.announce_change(peer, now);
        }
        Ok(())
    }

    /// Checks the credentials, and how often the address gave wrong ones.
    fn log_in(&mut self, ip: IpAddr, auth: &Auth, now: Instant) -> Result<Vec<Permission>, Refusal> {
        if let Auth::Anonymous { .. } = auth {
            // Who asks without a token guesses nothing: it is not counted, so that it locks nobody out.
            let refusal = || Refusal::new(ErrorCode::Unauthorized, "this server wants a token");
            return self.host.authorise(auth).ok_or_else(refusal);
        }
        let fresh = login_bucket(&self.config.limits, now);
        let mut bucket = self.addresses.get(&ip).map_or(fresh, |a| a.failed_logins);
        // A trial run: only a failure takes a token.
        if let Err(wait) = bucket.take(now) {
            let message = "too many wrong tokens from this address";
            return Err(Refusal::new(ErrorCode::RateLimited, message).after(wait));
        }
        if let Some(permissions) = self.host.authorise(auth) {
            return Ok(permissions);
        }
        self.forget_idle_addresses(now);
        self.addresses.entry(ip).or_insert(Address { sessions: 0, failed_logins: fresh }).failed_logins =
            bucket;
        Err(Refusal::new(ErrorCode::Unauthorized, "the token is not valid here"))
    }

    /// Addresses that are as good as never seen; many at a time, so that the cost is spread.
    fn forget_idle_addresses(&mut self, now: Instant) {
        if self.addresses.len().is_multiple_of(64) {
            self.addresses.retain(|_, a| a.sessions > 0 || !a.failed_logins.is_full(now));
        }
    }

    fn open_session(
        &mut self,
        link: LinkId,
        ip: IpAddr,
        name: Option<String>,
        permissions: Vec<Permission>,
        now: Instant,
    ) -> Result<PeerId, Refusal> {
        let limits = &self.config.limits;
        let failed_logins = login_bucket(limits, now);
        let address = self.addresses.entry(ip).or_insert(Address { sessions: 0, failed_logins });
        if address.sessions >= limits.sessions_per_ip {
            let message = format!("more than {} sessions from this address", limits.sessions_per_ip);
            let wait = Duration::from_millis(limits.resume_ms);
            return Err(Refusal::new(ErrorCode::RateLimited, message).after(wait));
        }
        address.sessions += 1;
        let peer = PeerId::new(self.host.entropy());
        let id = SessionId::new(self.host.entropy());
        let token = ResumeToken::new(self.host.entropy());
        let check_at = now + Duration::from_millis(limits.dead_ms);
        let bucket = message_bucket(limits, now);
        let session = Session::new(id, token, name, permissions, ip, link, bucket, now, check_at);
        self.sessions.insert(peer, session);
        self.names.insert(id, peer);
        self.timers.insert((check_at, Timer::Session(peer)));
        Ok(peer)
    }

    /// Continues a session on another link; `None` if that is not possible without loss.
    fn reattach(&mut self, link: LinkId, resume: &Resume, now: Instant) -> Option<(PeerId, u64)> {
        let peer = *self.names.get(&resume.session)?;
        let session = self.sessions.get(&peer)?;
        if !session.token.matches(&resume.token) || !session.can_continue_after(resume.last_seq) {
            return None;
        }
        if let Carrier::Attached(old) = session.carrier {
            let refusal = Refusal::new(ErrorCode::SessionReplaced, "the session goes on elsewhere");
            self.close(old, None, refusal, now);
        }
        let check_at = now + Duration::from_millis(self.config.limits.dead_ms);
        let session = self.sessions.get_mut(&peer).expect("closing a link keeps its session");
        session.carrier = Carrier::Attached(link);
        session.heard_at = now;
        session.forget_through(resume.last_seq);
        let old = std::mem::replace(&mut session.check_at, check_at);
        self.timers.remove(&(old, Timer::Session(peer)));
        self.timers.insert((check_at, Timer::Session(peer)));
        Some((peer, resume.last_seq))
    }
}

fn login_bucket(limits: &Limits, now: Instant) -> Throttle {
    let burst = limits.failed_logins.max(1);
    Throttle::new(burst, Duration::from_millis(limits.failed_logins_ms) / burst, now)
}

/// Longest name of a peer, in characters.
const NAME_CHARS_MAX: usize = 64;

fn checked_name(name: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let message = format!("a name has at most {NAME_CHARS_MAX} printable characters");
        return Err(Refusal::new(ErrorCode::BadMessage, message));
    }
    Ok(Some(name.into()))
}
