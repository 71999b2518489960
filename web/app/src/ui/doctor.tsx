import type { JSX } from "preact";
import type { Finding, Level } from "../pure/examination.js";
import { verdictOf } from "../pure/examination.js";
import { examination, examine } from "../state/examination.js";
import { Brand, Icon } from "./icon.js";
import type { IconName } from "./sprite.gen.js";

/** The page that says whether calls will work from this browser, and if not, why. */
export function DoctorScreen(): JSX.Element {
  const now = examination.value;
  return (
    <main class="page start">
      <Brand />
      <div class="start-body doctor">
        <h1>{now.at === "end" ? verdictOf(now.findings) : "Will calls work from here?"}</h1>
        {now.at === "rest" && (
          <p class="lead">This page tries camera and microphone, the ways by which media reach the server, and what they carry. It takes about half a minute.</p>
        )}
        {now.at !== "rest" && (
          <ul class="findings">
            {now.findings.map((finding) => <Row key={finding.area} finding={finding} />)}
          </ul>
        )}
        <p class="lead" role="status">{now.at === "work" ? `${now.step} …` : ""}</p>
        {now.at !== "work" && (
          <div class="end-actions">
            <button type="button" class="primary" onClick={() => void examine()}>
              {now.at === "rest" ? "Start" : "Try again"}
            </button>
            {now.at === "end" && isSecureContext && (
              <button type="button" onClick={() => void navigator.clipboard.writeText(JSON.stringify(now.findings, null, 2))}>
                Copy
              </button>
            )}
          </div>
        )}
      </div>
    </main>
  );
}

const icons: Record<Level, IconName> = { ok: "check", note: "more", warning: "warning", fault: "close" };

const words: Record<Level, string> = { ok: "works", note: "note", warning: "limited", fault: "does not work" };

function Row({ finding: { area, level, text, next } }: { readonly finding: Finding }): JSX.Element {
  return (
    <li data-level={level}>
      <Icon name={icons[level]} />
      <div>
        <strong>{area}</strong> <span class="hidden">({words[level]})</span>
        <p>{text}</p>
        {next !== "" && <p class="next">{next}</p>}
      </div>
    </li>
  );
}
