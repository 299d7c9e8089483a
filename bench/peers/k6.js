// Submits a job and asks for it every 100 ms until it has ended; each virtual user does so again and again.
import http from 'k6/http';
import { sleep } from 'k6';

export const options = {
  scenarios: {
    jobs: {
      executor: 'shared-iterations',
      vus: Number(__ENV.AT_ONCE),
      iterations: Number(__ENV.JOBS),
      maxDuration: '20m',
    },
  },
};

export default function () {
  const id = http.post(`${__ENV.TARGET}/jobs`).json('id');
  do {
    sleep(0.1);
  } while (http.get(`${__ENV.TARGET}/jobs/${id}`, { tags: { name: 'job' } }).json('status') !== 'done');
}
