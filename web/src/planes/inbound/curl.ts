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
const SIGNED = /(signature|-timestamp$|hmac|gitlab-token)/;

/** How a kind of sender signs. */
interface Signs {
  /** What it signs beside the body. `configured`: each such source for itself. */
  beside: 'moment' | 'url' | 'nothing' | 'token' | 'configured';
  /** Where it is a plain HMAC of the body: its header, and the command that makes it from `$SECRET` and a file. */
  plain?: { header: string; made: (file: string) => string };
}

const HMAC = 'openssl dgst -sha256 -hmac "$SECRET"';

const KINDS: Record<string, Signs> = {
  stripe: { beside: 'moment' },
  svix: { beside: 'moment' },
  clerk: { beside: 'moment' },
  'standard-webhooks': { beside: 'moment' },
  slack: { beside: 'moment' },
  zendesk: { beside: 'moment' },
  twilio: { beside: 'url' },
  square: { beside: 'url' },
  github: {
    beside: 'nothing',
    plain: { header: 'x-hub-signature-256', made: (file) => `"sha256=$(${HMAC} -r ${file} | cut -d' ' -f1)"` },
  },
  shopify: {
    beside: 'nothing',
    plain: { header: 'x-shopify-hmac-sha256', made: (file) => `"$(${HMAC} -binary ${file} | openssl base64 -A)"` },
  },
};

function signsOf(kind: string, headers: Sending['headers']): Signs {
  // GitLab does either: sign as Standard Webhooks does, or send its secret along.
  if (kind === 'gitlab')
    return { beside: headers.some(({ name }) => name === 'webhook-signature') ? 'moment' : 'token' };
  return KINDS[kind] ?? { beside: 'configured' };
}

const HOLDS: Record<Signs['beside'], string> = {
  moment: 'signs the moment too: a recorded signature holds for minutes only',
  url: 'signs the URL and no moment: a recorded signature holds for that URL until its secret is changed',
  nothing: 'signs the body and no moment: a recorded signature holds until its secret is changed',
  token: 'sends its secret along and signs nothing: it holds until it is changed',
  configured: 'signs as it is configured here: whether a recorded signature still holds depends on that',
};

/** How long what a sender has signed holds, as a sentence without its end. */
export function howLong(source: string, kind: string, headers: Sending['headers']): string {
  return `${source} ${HOLDS[signsOf(kind, headers).beside]}`;
}

/** Quote for a POSIX shell: nothing in single quotes means anything, and a single quote ends them. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Lines that send the same bytes; what signs them is made before where it is a plain HMAC of the body. */
export function curl({ url, headers, file, kind }: Sending & { kind: string }): string {
  const { beside, plain } = signsOf(kind, headers);
  const sent = headers.filter(({ name }) => !HOPS.test(name));
  const lines = sent.flatMap(({ name, value }) => {
    if (SIGNED.test(name)) return plain && name !== plain.header ? [] : [`-H "${name}: $SIGNATURE"`];
    return value === MASK ? [`-H "${name}: $${variable(name)}"`] : [`-H ${quoted(`${name}: ${value}`)}`];
  });
  // A name is a token (RFC 9110 §5.6.2): in double quotes none of it means anything, except the backtick.
  const safe = lines.filter((line) => !line.includes('`') || line.startsWith("-H '"));
  const bytes = quoted(file);
  const before = plain
    ? [
        '# paste the signing secret and press Enter; it is not shown',
        'read -rs SECRET',
        `SIGNATURE=${plain.made(bytes)}`,
      ]
    : beside === 'token'
      ? ['# paste the secret token and press Enter; it is not shown', 'read -rs SIGNATURE']
      : ['# What signs is more than the body: the lines of "Signed request" below make it with custodes and send it.'];
  const command = [`curl -X POST ${quoted(url)}`, ...safe, `--data-binary ${quoted(`@${file}`)}`].join(' \\\n  ');
  return [...before, command].join('\n');
}

/** A header as the name of a variable of the shell. */
const variable = (name: string) => name.replaceAll(/[^a-z0-9]/gi, '_').toUpperCase();

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
