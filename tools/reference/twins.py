"""Which route does over HTTP what a command does, and which command has none."""

TWINS = {
    "ask": "POST /api/ask",
    "backup": "POST /api/backup",
    "batches exclude": "POST /api/batches/{batch}/exclude",
    "batches list": "GET /api/batches",
    "batches quarantine": "GET /api/batches/quarantine",
    "batches requeue": "POST /api/batches/{batch}/requeue",
    "batches show": "GET /api/batches/{batch}",
    "batches show --rendered": "GET /api/batches/{batch}/examples",
    "chat": "POST /v1/chat/completions",
    "doctor": "GET /api/doctor",
    "evaluate": "POST /api/evaluate",
    "feed": "POST /api/feed",
    "inbox accept": "POST /api/inbox/{name}/accept",
    "inbox delete": "DELETE /api/inbox/{name}",
    "inbox edit": "POST /api/inbox/{name}/edit",
    "inbox list": "GET /api/inbox",
    "inbox reject": "POST /api/inbox/{name}/reject",
    "inbox show": "GET /api/inbox/{name}",
    "open": "POST /api/sign-in-links",
    "pause": "POST /api/pause",
    "resume": "POST /api/resume",
    "rollback": "POST /api/rollback",
    "runs cancel": "POST /api/runs/{run}/cancel",
    "runs list": "GET /api/runs",
    "runs logs": "GET /api/runs/{run}/log",
    "runs show": "GET /api/runs/{run}",
    "runs show --dreams": "GET /api/runs/{run}/dreams",
    "sleep": "POST /api/sleep",
    "status": "GET /api/status",
    "token list": "GET /api/tokens",
    "token new": "POST /api/tokens",
    "token revoke": "DELETE /api/tokens/{id}",
    "versions alias": "POST /api/versions/{name}/alias",
    "versions alias --drop": "DELETE /api/aliases/{alias}",
    "versions diff": "GET /api/versions/{first}/diff/{second}",
    "versions export": "POST /api/versions/{name}/export",
    "versions gc": "POST /api/versions/gc",
    "versions import": "POST /api/versions/import",
    "versions list": "GET /api/versions",
    "versions promote": "POST /api/versions/{name}/promote",
    "versions show": "GET /api/versions/{name}",
    "versions verify": "POST /api/versions/verify",
    "wake": "POST /api/wake",
}
"""The route of each command, or of one with an option."""

WITHOUT = {
    "ask --tool": "the serving process has no calculator",
    "batches quarantine --export": "the rows themselves lie in the home alone",
    "bugreport": "it is for who sits at the machine, and looks into it first",
    "db upgrade": "a service owns a home of the newest schema alone",
    "demo": "it makes homes of its own",
    "evaluate --harness": "tasks are code that is run, which no token may bring in",
    "evaluate --plot": "it draws what the JSON says",
    "init": "a service has a home already",
    "restore": "it makes a home, or takes the place of the one that is served",
    "run": "it is the service",
    "service install": "systemd starts the service, which cannot change that",
    "service status": "systemd is asked by who sits at the machine",
    "service uninstall": "systemd stops the service, which could not answer",
    "study": "it needs no home, and computes for hours",
}
"""Why a command, one with an option or a whole group, has no route."""


def twins_table() -> list[str]:
    """Return the lines of the table that the page of HTTP begins with."""
    rows = [f"| `{command}` | `{route}` |" for command, route in TWINS.items()]
    reasons = [f"| `{command}` | {reason} |" for command, reason in WITHOUT.items()]
    return [
        "## Commands and their routes",
        "",
        "A route answers the JSON that its command prints with `--json`. That of "
        "`evaluate`, `wake` and `sleep` is a job, which `GET /api/job/{job}` tells of.",
        "",
        "| command | route |",
        "|---|---|",
        *rows,
        "",
        "| command without one | why |",
        "|---|---|",
        *reasons,
        "",
    ]
