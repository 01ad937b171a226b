import java.io.DataOutputStream;
import java.net.Socket;

/** What many a first network program in Java does: each character is a write, and the newline another. */
public class Lines {
    public static void main(String[] arguments) throws Exception {
        Socket socket = new Socket(arguments[0], Integer.parseInt(arguments[1]));
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.writeBytes(arguments[2]);
        out.writeBytes("\n");
        for (int n = 0; n < 20; n++) {
            out.writeBytes("bob: " + n + " bob: hi");
            out.writeBytes("\n");
        }
        out.flush();
        socket.shutdownOutput();
        while (socket.getInputStream().read() >= 0) {}
    }
}
