/** On a server: writes the HTML of the page to rendered.html, and prints what has been opened for that. */
import { writeFile } from "node:fs/promises";
import { countedClient } from "./counted-client.js";
import { render } from "./framework.js";

const { api, counts } = countedClient();
await writeFile("rendered.html", await render(api));
process.stdout.write(JSON.stringify(counts));
