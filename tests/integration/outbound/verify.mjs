// What was received, verified with the npm libraries; started once for all cases by verifiers.py.
// Standard input: a JSON list of {body: base64, headers, secret}; argument: the package.json that names the libraries.
// Standard output: {library: [whether it took each]}.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const required = createRequire(process.argv[2]);
const { Webhook: Svix } = required("svix");
const { Webhook: Standard } = required("standardwebhooks");

const libraries = {
  "svix (npm)": (secret, body, headers) => {
    const renamed = Object.entries(headers).map(([name, value]) => [name.replace("webhook-", "svix-"), value]);
    new Svix(secret).verify(body, Object.fromEntries(renamed));
  },
  "standardwebhooks (npm)": (secret, body, headers) => {
    new Standard(secret).verify(body, headers, { jsonParse: false });
  },
};

function takes(verify, { body, headers, secret }) {
  try {
    verify(secret, Buffer.from(body, "base64"), headers);
    return true;
  } catch {
    return false;
  }
}

const cases = JSON.parse(readFileSync(0, "utf8"));
const found = Object.entries(libraries).map(([name, verify]) => [name, cases.map((one) => takes(verify, one))]);
process.stdout.write(JSON.stringify(Object.fromEntries(found)));
