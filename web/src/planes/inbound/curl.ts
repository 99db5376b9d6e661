/** A webhook as lines for a shell. What stands in it came from outside, so everything is quoted. */

/** What stands where the server took a secret out. */
export const MASK = '[redacted]';

interface Sending {
  url: string;
  headers: readonly { name: string; value: string }[];
  /** Name of the file with the exact bytes. */
  file: string;
}

/** Headers of the connection, not of the delivery: the next client writes its own. */
const HOPS =
  /^(host|connection|content-length|transfer-encoding|accept-encoding|expect|forwarded|via|x-real-ip|x-forwarded-.*|traceparent|tracestate|cf-.*)$/;

/** Headers that hold a signature or its moment. */
const SIGNED = /(signature|-timestamp$|webhook-id$|hmac|gitlab-token)/;

/** Quote for a POSIX shell: nothing in single quotes means anything, and a single quote ends them. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export function curl({ url, headers, file }: Sending): string {
  const sent = headers.filter(({ name }) => !HOPS.test(name));
  const lines = sent.map(({ name, value }) =>
    value === MASK || SIGNED.test(name) ? `-H "${name}: $SIGNATURE"` : `-H ${quoted(`${name}: ${value}`)}`,
  );
  // A name is a token (RFC 9110 §5.6.2): in double quotes none of it means anything, except the backtick.
  const safe = lines.filter((line) => !line.includes('`') || line.startsWith("-H '"));
  return [`curl -X POST ${quoted(url)}`, ...safe, `--data-binary ${quoted(`@${file}`)}`].join(' \\\n  ');
}

interface Signing extends Sending {
  kind: string;
  type: string;
  id: string;
}

/** A Python string literal; JSON's escapes are Python's too. */
function literal(text: string): string {
  return JSON.stringify(text);
}

/** Lines that sign the same bytes now, with the secret of whoever runs them, and send them. */
export function signedRequest({ url, file, kind, type, id }: Signing): string {
  return `# paste the signing secret and press Enter; it is not shown
read -rs WEBHOOK_SECRET && export WEBHOOK_SECRET
python - <<'PY'
import os, pathlib, urllib.request
from custodes.testing.webhooks import signed_webhook

url = ${literal(url)}
body = pathlib.Path(${literal(file)}).read_bytes()
made = signed_webhook(${literal(kind)}, body, os.environ["WEBHOOK_SECRET"], url=url,
                      event_type=${literal(type)}, event_id=${literal(id)})
print(urllib.request.urlopen(urllib.request.Request(url, made.body, made.headers)).status)
PY`;
}
