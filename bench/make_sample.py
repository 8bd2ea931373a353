"""Make src/tocsin/_core/simd/sample.h: the text by which a literal's rarest window is judged.

    python bench/make_sample.py CONSOLES...

Lines of console logs (the project's own case files will do), one of each shape, and lines in the
manner of the daemons that fill /var/log, written here. The sample only steers the choice of
windows: a poor one makes the filter slower, never wrong. Deterministic for the same input.
"""

import random
import re
import sys
from pathlib import Path

SIZE = 160 << 10
CONSOLE_SHARE = 0.7
TARGET = Path(__file__).parents[1] / "src/tocsin/_core/simd/sample.h"

DAEMONS = """\
sshd[{n}]: Failed password for invalid user {w} from {ip} port {n} ssh2
sshd[{n}]: Accepted publickey for {w} from {ip} port {n} ssh2: RSA SHA256:{x}{x}
sshd[{n}]: pam_unix(sshd:session): session opened for user {w}(uid={n}) by (uid=0)
sshd[{n}]: Received disconnect from {ip} port {n}:11: Bye Bye [preauth]
sshd[{n}]: Connection closed by authenticating user {w} {ip} port {n} [preauth]
sshd[{n}]: reverse mapping checking getaddrinfo for {w}.example.net [{ip}] failed
su(pam_unix)[{n}]: session closed for user {w}
sudo: {w} : TTY=pts/{d} ; PWD=/home/{w} ; USER=root ; COMMAND=/usr/bin/{w}
CRON[{n}]: (root) CMD (test -x /usr/sbin/{w} || cd / && run-parts --report /etc/cron.{w})
systemd[1]: Started {W} {w} service.
systemd[1]: Starting Cleanup of Temporary Directories...
systemd[1]: {w}.service: Deactivated successfully.
systemd-logind[{n}]: New session {n} of user {w}.
dhclient[{n}]: DHCPREQUEST for {ip} on eth{d} to {ip} port 67
NetworkManager[{n}]: <info>  [{n}.{n}] device (eth{d}): state change: {w} -> {w}
postfix/smtpd[{n}]: connect from unknown[{ip}]
postfix/qmgr[{n}]: {x}: from=<{w}@example.org>, size={n}, nrcpt=1 (queue active)
dovecot: imap-login: Login: user=<{w}>, method=PLAIN, rip={ip}, lip={ip}, TLS, session=<{x}>
named[{n}]: client @0x{x} {ip}#{n} ({w}.example.com): query (cache) denied
ntpd[{n}]: synchronized to {ip}, stratum {d}
nginx: {ip} - - [{d}/Mar/2024:10:{d}0:{d}1 +0000] "GET /{w}/{w}.html HTTP/1.1" 200 {n}
[error] [client {ip}] File does not exist: /var/www/html/{w}
[notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties
dockerd[{n}]: time="2024-03-0{d}T10:10:10Z" level=info msg="ignoring event" container={x}{x}
kubelet[{n}]: I0{n} 10:10:10.{n} {n} reconciler.go:{n}] "Volume {w}" pod="{w}/{w}-{x}"
ftpd[{n}]: connection from {ip} ({w}.example.net) at Sat Mar {d} 10:10:10 2024
INFO org.example.{w}.{W}Manager: Received block blk_{n}{n} of size {n} from /{ip}
WARN [main] org.{w}.server.{W}: {w} took {n}ms for user {w}
DEBUG {w}.{w} [req-{x}-{x} {x}] {w} instance: {x} VM {w} finished
logrotate: ALERT exited normally with [{d}]
snmpd[{n}]: Connection from UDP: [{ip}]:{n}->[{ip}]:161
audit[{n}]: USER_LOGIN pid={n} uid=0 auid={n} ses={d} msg='op=login acct="{w}" exe="/usr/sbin/{w}"'
gdm(pam_unix)[{n}]: authentication failure; logname= uid=0 euid=0 tty=:0 ruser= rhost= user={w}
rsyslogd: [origin software="rsyslogd" swVersion="8.{n}.0" x-pid="{n}"] rsyslogd was HUPed
""".splitlines()
WORDS = re.findall(
    r"\w+",
    "admin apache backup account worker request manager oracle guest mysql network storage "
    "connection session server database monitor update daily registry agent cluster message "
    "controller resource gateway handler volume image response queue thread address config",
)


def shape(line: bytes) -> bytes:
    return re.sub(rb"[0-9a-fA-F]*[0-9][0-9a-fA-F]*", b"0", line)


def daemon_line(choose: random.Random) -> bytes:
    def fill(match: re.Match[str]) -> str:
        word = choose.choice(WORDS)
        return {
            "n": str(choose.randrange(10, 99999)),
            "d": str(choose.randrange(1, 10)),
            "x": f"{choose.getrandbits(32):08x}",
            "ip": ".".join(str(choose.randrange(1, 255)) for _ in range(4)),
            "w": word,
            "W": word.capitalize(),
        }[match[1]]

    line = re.sub(r"\{(\w+)\}", fill, choose.choice(DAEMONS))
    return f"Mar {choose.randrange(1, 29):2} 10:10:10 {choose.choice(WORDS)} {line}\n".encode()


def main(paths: list[str]) -> None:
    choose = random.Random(1)
    seen = set()
    console = []
    for path in sorted(paths):
        for line in Path(path).read_bytes().split(b"\n"):
            line = bytes(byte for byte in line if 32 <= byte < 127)
            if 12 < len(line) < 400 and shape(line) not in seen:
                seen.add(shape(line))
                console.append(line + b"\n")
    if not console:
        raise SystemExit("no lines: name some console logs")
    choose.shuffle(console)
    lines = []
    while sum(map(len, lines)) < SIZE * CONSOLE_SHARE and console:
        lines.append(console.pop())
    while sum(map(len, lines)) < SIZE:
        lines.append(daemon_line(choose))
    choose.shuffle(lines)
    text = b"".join(lines)[:SIZE]
    out = [
        "/* Text of ordinary logs, by which a literal's rarest window is judged.",
        "   Made by bench/make_sample.py; nothing depends on it but speed.",
        "   Long because it is data. */",
        "#ifndef TOCSIN_SAMPLE_H",
        "#define TOCSIN_SAMPLE_H",
        f"enum {{ SAMPLE_BYTES = {len(text)} }};",
        "static const char sample_text[] =",
    ]
    for at in range(0, len(text), 80):
        piece = text[at : at + 80].decode().replace("\\", "\\\\").replace('"', '\\"')
        # "??x" would be a trigraph to a strict compiler.
        out.append('    "' + piece.replace("\n", "\\n").replace("?", "\\?") + '"')
    out[-1] += ";"
    out.append("#endif")
    TARGET.write_text("\n".join(out) + "\n")
    print(f"{TARGET}: {len(text)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
