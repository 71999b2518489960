import type { MediaPath } from "@parley-rtc/sdk";
import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { bitrateText } from "../pure/people.js";
import type { Call, Person } from "../state/call.js";
import type { Rates, Statistics } from "../state/statistics.js";

const lookMs = 2_000;

const ways: Record<MediaPath, string> = {
  udp: "UDP, to the server",
  tcp: "TCP, to the server",
  "turn/udp": "relayed, over UDP",
  "turn/tcp": "relayed, over TCP",
  "turn/tls": "relayed, over TLS",
};

export function StatisticsPanel({ call }: { readonly call: Call }): JSX.Element {
  const now = useSignal<Statistics | undefined>(undefined);
  useEffect(() => {
    let isOpen = true;
    const look = async (): Promise<void> => {
      const statistics = await call.statistics().catch(() => undefined);
      if (isOpen && statistics) now.value = statistics;
    };
    void look();
    const interval = setInterval(() => void look(), lookMs);
    return () => {
      isOpen = false;
      clearInterval(interval);
    };
  }, [call]);
  return now.value ? <Figures {...now.value} people={call.people.value} /> : <p class="panel-foot soft">Looking…</p>;
}

function Figures({ path, rttMs, sending, receiving, sent, received, codecs, people }: Statistics & { readonly people: readonly Person[] }): JSX.Element {
  return (
    <div class="figures" tabIndex={0} aria-label="Statistics">
      <dl>
        <Figure term="Path">{path === undefined ? "none yet" : ways[path]}</Figure>
        <Figure term="Round trip">{rttMs === undefined ? "–" : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`}</Figure>
      </dl>
      {path !== undefined && path !== "udp" && path !== "turn/udp" && <p class="soft">Media travel over TCP, because UDP does not get through. A firewall that lets UDP to the server's port gives better sound and picture.</p>}
      <h3>Sending</h3>
      <dl>
        <Rate rates={sending} />
        {sent && <Figure term="Picture">{sent}</Figure>}
      </dl>
      <h3>Receiving</h3>
      <dl>
        <Rate rates={receiving} />
        {received.length > 0 && <Figure term="Pictures">{received.map((r, i) => <span key={i}>{r}</span>)}</Figure>}
      </dl>
      {codecs.length > 0 && (
        <>
          <h3>Codecs</h3>
          <p>{codecs.join(", ")}</p>
        </>
      )}
      <h3>Identities</h3>
      <dl>
        {people.map(({ identity, name }) => (
          <Figure key={identity} term={name}>
            {identity}
          </Figure>
        ))}
      </dl>
    </div>
  );
}

function Rate({ rates }: { readonly rates: Rates }): JSX.Element {
  return (
    <>
      <Figure term="Bitrate">{bitrateText(rates.bitsPerSecond)}</Figure>
      <Figure term="Loss">{rates.loss === undefined ? "–" : `${(rates.loss * 100).toFixed(1)} %`}</Figure>
    </>
  );
}

function Figure({ term, children }: { readonly term: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
