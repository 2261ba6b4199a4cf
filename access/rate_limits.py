"""Limits on how often something may be done: named policies, each of which says why it is there."""

import re
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from limits import RateLimitItem, parse_many

from access.counters import Counters
from access.errors import RateLimited
from config import Config
from db import InterviewKey

# The beginning of every counter's name: others may use the same Redis.
PREFIX = "tukma"

# Bits that the addresses of one client of IPv6 have in common: it may choose among all with them.
IPV6_PREFIX = 64

# Proxies may write an address with a port behind it: 192.0.2.1:5678, [2001:db8::1]:5678.
_ADDRESS_AND_PORT = re.compile(r"\[(?P<v6>[^]]+)](?::\d+)?|(?P<v4>[\d.]+):\d+")


@dataclass(frozen=True)
class Policy:
    """Limits of one kind of request, counted for each subject by itself."""

    name: str
    limits: tuple[RateLimitItem, ...]
    """The shortest first."""
    sentence: str
    """The beginning of the answer: which requests were too many."""


class RateLimits:
    """The policies. Each raises `RateLimited` once a limit of it is reached.

    Replies are not counted by address: a frontend's server calls for hundreds of applicants from
    one.
    """

    def __init__(self, config: Config) -> None:
        self._counters = Counters(config.redis_url) if config.rate_limits else None
        # Each reply costs a call to the model, which grows with the interview. Nobody types a
        # thoughtful answer every three seconds for a minute; a script, or a stuck key, does.
        self._replies = _policy(
            "replies", config.limit_replies, "Too many replies in this interview."
        )
        # Each start costs a call to the model as well, and anyone who knows an access key can make
        # up applicants. Two a second are far more than a recruiter's busiest hour.
        self._starts = _policy(
            "starts", config.limit_starts, "Too many starts under this access key."
        )
        # One for each applicant and page load: as many as starts.
        self._tokens = _policy(
            "tokens", config.limit_tokens, "Too many tokens under this access key."
        )
        # A scorecard costs dozens of calls to the model, and a draft of a rubric several. A script
        # that has all of a position's interviews rated may take a while; one that asks again and
        # again for the same ones should be noticed.
        self._scores = _policy(
            "scores", config.limit_scores, "Too many scorecards or drafts under this access key."
        )
        # An applicant sends one of each, and some notes. A token is enough for all of them, and
        # each takes room in the database.
        self._records = _policy(
            "records", config.limit_records, "Too many requests of this applicant."
        )
        # A key cannot be guessed, however many attempts there are. But attempts must not fill the
        # log or slow others down, and a system that still uses an old key should be noticed.
        self._wrong_keys = _policy(
            "wrong keys", config.limit_wrong_keys, "Too many wrong keys from this address."
        )
        # A secret cannot be guessed either, and a link that is cut short is tried a few times.
        self._wrong_invitations = _policy(
            "wrong invitations",
            config.limit_wrong_invitations,
            "Too many unknown invitations from this address.",
        )
        # People cause one now and then, and a frontend's server does for each of its applicants;
        # more than one a second come from a program that is broken or probes for weaknesses.
        self._bad_requests = _policy(
            "bad requests", config.limit_bad_requests, "Too many bad requests."
        )

    def count_reply(self, interview: InterviewKey) -> None:
        """Count a reply to the interview."""
        self._check(self._replies, interview.digest())

    def count_start(self, access_key: str) -> None:
        """Count a start under the access key."""
        self._check(self._starts, _hidden(access_key))

    def count_token(self, access_key: str) -> None:
        """Count a token issued under the access key."""
        self._check(self._tokens, _hidden(access_key))

    def count_score(self, access_key: str) -> None:
        """Count a scorecard, or a draft of a rubric, that is asked for under the access key."""
        self._check(self._scores, _hidden(access_key))

    def count_record(self, interview: InterviewKey) -> None:
        """Count a consent, a request for another way, or a note of the interview's applicant."""
        self._check(self._records, interview.digest())

    def count_wrong_key(self, address: str) -> None:
        """Count a wrong key or token from the client's address."""
        self._check(self._wrong_keys, network_of(address))

    def count_wrong_invitation(self, address: str) -> None:
        """Count a secret that no invitation has, from the client's address."""
        self._check(self._wrong_invitations, network_of(address))

    def count_bad_request(self, subject: str) -> None:
        """Count a request that makes no sense, of a network or of a token's interview."""
        self._check(self._bad_requests, subject)

    def refuse_after_bad_requests(self, subject: str) -> None:
        """Refuse a request, whatever it is, if there were too many bad ones; count nothing."""
        self._check(self._bad_requests, subject, counting=False)

    def _check(self, policy: Policy, subject: str, *, counting: bool = True) -> None:
        if self._counters is None:
            return
        for limit in policy.limits:
            seconds = self._counters.refusal(limit, PREFIX, subject, policy.name, counting=counting)
            if seconds is not None:
                raise RateLimited(policy.sentence, limit.amount, seconds)


def network_of(address: str) -> str:
    """Return the network of one client: an IPv4 address, or the IPv6 network that it is given."""
    if found := _ADDRESS_AND_PORT.fullmatch(address):
        address = found["v6"] or found["v4"]
    try:
        ip = ip_address(address)
    except ValueError:  # some proxies write a name instead
        return _hidden(address)
    # A listener for both kinds of addresses sees a client of IPv4 as one of IPv6.
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(IPv6Network((int(ip), IPV6_PREFIX), strict=False))


def _policy(name: str, limits: str, sentence: str) -> Policy:
    return Policy(name, tuple(sorted(parse_many(limits))), sentence)


def _hidden(name: str) -> str:
    """Return what replaces a name in Redis and in the log."""
    return sha256(name.encode()).hexdigest()
