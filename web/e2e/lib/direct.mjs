// A call from one page to another whose media go by no server, unless it is one that relays them: what browsers do by themselves.

/**
 * In the page: a connection that sends the page's e2e.source, and its offer with all candidates; where there are ICE servers, with those until the first
 * relayed one, since Chromium asks in vain for more than 30 s where UDP is blocked.
 */
const offer = async (configuration) => {
  const connection = (e2e.direct = new RTCPeerConnection(configuration));
  for (const track of e2e.source.stream.getTracks()) connection.addTrack(track, e2e.source.stream);
  await connection.setLocalDescription();
  const enough = () => configuration.iceServers !== undefined && connection.localDescription.sdp.includes(' typ relay ');
  await e2e.until(() => connection.iceGatheringState === 'complete' || enough(), 'candidates');
  return connection.localDescription.sdp;
};

/** In the page: answers; what arrives plays in an element that e2e.directly holds by name. */
const answer = async (name, sdp, configuration) => {
  const connection = (e2e.direct = new RTCPeerConnection(configuration));
  const arrived = new Promise((done) => (connection.ontrack = ({ streams }) => done(streams[0])));
  await connection.setRemoteDescription({ type: 'offer', sdp });
  await connection.setLocalDescription();
  (e2e.directly ??= {})[name] = await e2e.play(await arrived);
  const enough = () => configuration.iceServers !== undefined && connection.localDescription.sdp.includes(' typ relay ');
  await e2e.until(() => connection.iceGatheringState === 'complete' || enough(), 'candidates');
  return connection.localDescription.sdp;
};

/** Sends the source of one person straight to another, who plays it in e2e.directly[from.name]. Each may be given a configuration. */
export async function callDirectly(from, to, [offering, answering] = [{}, {}]) {
  const sdp = await to.evaluate(answer, from.name, await from.evaluate(offer, offering), answering);
  await from.evaluate((sdp) => e2e.direct.setRemoteDescription({ type: 'answer', sdp }), sdp);
}
