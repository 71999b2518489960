// A call between two pages without any server: what browsers do by themselves, to tell it from what Parley does.

/** In the page: a connection that sends the page's e2e.source, and its offer with all candidates. */
const offer = async () => {
  const connection = (e2e.direct = new RTCPeerConnection());
  for (const track of e2e.source.stream.getTracks()) connection.addTrack(track, e2e.source.stream);
  await connection.setLocalDescription();
  await e2e.until(() => connection.iceGatheringState === 'complete', 'candidates');
  return connection.localDescription.sdp;
};

/** In the page: answers; what arrives plays in an element that e2e.directly holds by name. */
const answer = async (name, sdp) => {
  const connection = new RTCPeerConnection();
  const arrived = new Promise((done) => (connection.ontrack = ({ streams }) => done(streams[0])));
  await connection.setRemoteDescription({ type: 'offer', sdp });
  await connection.setLocalDescription();
  (e2e.directly ??= {})[name] = await e2e.play(await arrived);
  await e2e.until(() => connection.iceGatheringState === 'complete', 'candidates');
  return connection.localDescription.sdp;
};

/** Sends the source of one person straight to another, who plays it in e2e.directly[from.name]. */
export async function callDirectly(from, to) {
  const sdp = await to.evaluate(answer, from.name, await from.evaluate(offer));
  await from.evaluate((sdp) => e2e.direct.setRemoteDescription({ type: 'answer', sdp }), sdp);
}
